// What capture needs of the interpreter: implemented by cpython/frames.c, so that core/ knows nothing of Python.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One frame of a thread's stack as the last event saw it.
typedef struct pmt_frame_s {
    uint64_t code;    // address of the code object; 0: frames left out
    uint32_t offset;  // instruction offset in bytes; for a frame that stands for others, their number
    uint32_t check;   // fingerprint of the code object: addresses are reused
} pmt_frame_t;

// A deeper stack keeps its outermost PMT_STACK_OUTER frames and its innermost ones, with one frame between that stands for the rest.
enum { PMT_STACK_MAX = 4096, PMT_STACK_OUTER = 1024 };

typedef struct pmt_stack_s {
    pmt_frame_t *frames;  // [0]: the outermost; PMT_STACK_MAX of address space, `populated` of them may be written
    uint32_t depth;
    uint32_t populated;
} pmt_stack_t;

// A code object's names and line table; borrowed, valid while the handler runs. Texts are UTF-8 (surrogates as they are) in `file` and `name`.
// Longer texts keep their end (a path) or their beginning (a name).
enum { PMT_CODE_FILE_MAX = 3072, PMT_CODE_NAME_MAX = 960 };
typedef struct pmt_code_info_s {
    uint32_t first_line;
    uint32_t file_size, name_size;
    const uint8_t *lines;  // co_linetable
    size_t lines_size;
    char file[PMT_CODE_FILE_MAX];
    char name[PMT_CODE_NAME_MAX];
} pmt_code_info_t;

typedef struct pmt_interp_s {
    // The calling thread's depth in frames, as walk_sigsafe will find it; 0: no Python frame.
    uint32_t (*depth_sigsafe)(void);
    // Updates `stack` to the calling thread's present one of `depth` frames; returns how many outermost frames are as they were.
    uint32_t (*walk_sigsafe)(pmt_stack_t *stack, uint32_t depth);
    void (*describe_sigsafe)(uint64_t code, pmt_code_info_t *out);
    // For signals that come at any instruction: whether the calling thread's frames are in a state to be walked. stack: the interrupted stack pointer.
    bool (*steady_sigsafe)(uint64_t stack);
    // In a hook, not in a handler: the ids of the calling thread's open frames, outermost first, at most the innermost `max`, without those whose calls are not recorded; their
    // number. `opens`: without the innermost frame, which opens just now.
    uint32_t (*open_codes)(uint32_t *out, uint32_t max, bool opens);
    // In a hook: whether the code runs with which events are to begin, or has run.
    bool (*has_begun)(void);
    // With the interpreter's lock held, in no handler: what its allocator holds and has in use, in bytes. False: it does not tell. May be NULL.
    bool (*allocator)(uint64_t *held, uint64_t *used);
} pmt_interp_t;
