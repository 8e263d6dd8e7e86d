// What traced processes and the launcher tell the recorder, and its answers (recorder.h).
#define _GNU_SOURCE  // strnlen
#include "recorder/recorder.h"

#include <errno.h>
#include <string.h>

#include "format/wire.h"

static void
answer(int fd, int err)
{
    const uint8_t byte = (uint8_t)err;
    pmt_prim_send_sigsafe(fd, &byte, 1, NULL, 0);
}

static void
on_meta(pmt_recorder_t *recorder, size_t size, uint64_t scope)
{
    const char *key = recorder->message + 1;
    size_t key_size = strnlen(key, size - 1);
    if (key_size < size - 1) {
        pmt_writer_meta(recorder->trace.writer, scope, key, key + key_size + 1, size - 2 - key_size);
    }
}

static pmt_process_t *
on_hello(pmt_recorder_t *recorder, size_t size, const int *fds, unsigned fd_count)
{
    pmt_hello_t hello;
    if (size != sizeof hello || fd_count != 1) {
        return NULL;
    }
    memcpy(&hello, recorder->message, sizeof hello);
    return hello.version == PMT_SHARED_VERSION ? pmt_process_greeted(&recorder->trace, &hello, fds[0]) : NULL;
}

// Takes over the descriptors it needs: true if it did.
static bool
on_events(pmt_recorder_t *recorder, size_t size, const int *fds, unsigned fd_count)
{
    pmt_events_t events;
    if (size != sizeof events) {
        return false;
    }
    memcpy(&events, recorder->message, sizeof events);
    pmt_process_t *process = pmt_process_find(&recorder->trace, events.pid);
    if (!process) {
        return false;
    }
    if (fd_count == 0 && events.source) {
        pmt_process_give_up(&recorder->trace, process, &events);
    } else if (fd_count == 0) {
        pmt_process_close_events(process, &events);
    }
    for (unsigned i = 0; i < fd_count; i++) {
        pmt_process_add_event(process, fds[i], &events);
    }
    return true;
}

// The process whose hooks have been switched on: the facts that follow are about it. Without a descriptor it has its lanes already, or no hooks could be had.
static pmt_process_t *
on_lanes(pmt_recorder_t *recorder, size_t size, const int *fds, unsigned fd_count)
{
    pmt_lanes_message_t lanes;
    if (size != sizeof lanes) {
        return NULL;
    }
    memcpy(&lanes, recorder->message, sizeof lanes);
    pmt_process_t *process = pmt_process_find(&recorder->trace, lanes.pid);
    if (process && fd_count == 1) {
        pmt_lanes_attach(&recorder->trace, process, fds[0]);
    }
    return process;
}

// The answer's room is that of the message, which has been read.
static void
on_flush(pmt_recorder_t *recorder, int fd)
{
    pmt_drain(&recorder->trace);
    pmt_writer_flush(recorder->trace.writer);
    size_t size = pmt_prim_file_name(OUTPUT, recorder->message + 1, PMT_MESSAGE_MAX - 1);
    pmt_prim_send_sigsafe(fd, recorder->message, 1 + size, NULL, 0);
}

static void
on_name(pmt_recorder_t *recorder, size_t size)
{
    pmt_name_message_t name;
    if (size != sizeof name) {
        return;
    }
    memcpy(&name, recorder->message, sizeof name);
    pmt_process_t *process = pmt_process_find(&recorder->trace, name.pid);
    if (process && name.size <= sizeof name.name) {
        pmt_process_expect_thread(process, name.tid, name.name, name.size);
    }
}

// While a snapshot is being taken that somebody waits for.
static void
breathe(void *context)
{
    pmt_recorder_t *recorder = context;
    uint64_t now = pmt_prim_now_ns_sigsafe();
    pmt_drain(&recorder->trace);
    if (now >= recorder->next_tick) {
        pmt_recorder_tick(recorder, now);
    }
}

void
pmt_say_farewell(int fd, uint32_t pid, int err)
{
    pmt_farewell_t farewell = {.kind = PMT_MESSAGE_FAREWELL, .pid = pid, .error = -err};
    pmt_prim_send_sigsafe(fd, &farewell, sizeof farewell, NULL, 0);
}

// Answered by one byte; a process that goes on gets a farewell besides, the first one when the file is written: its trace is over then.
static void
on_bye(pmt_recorder_t *recorder, size_t size, int fd)
{
    pmt_bye_t bye;
    if (size != sizeof bye) {
        return;
    }
    memcpy(&bye, recorder->message, sizeof bye);
    pmt_process_t *process = pmt_process_find(&recorder->trace, bye.pid);
    if (process) {
        pmt_process_close_events(process, NULL);
        pmt_drain(&recorder->trace);
        pmt_process_name_threads(&recorder->trace, process);
        pmt_sample(&recorder->trace);
        pmt_request_last_snapshot(&recorder->trace, process, &bye, breathe, recorder);
        process->leaving = true;
    }
    answer(fd, 0);
    if (bye.living && process && process->number == 0) {
        recorder->farewell = fd;
    } else if (bye.living) {
        pmt_say_farewell(fd, 0, 0);
    }
}

void
pmt_serve(pmt_recorder_t *recorder, int fd)
{
    pmt_process_t *greeted = NULL;
    bool refused = false;  // it hears so from the connection's end
    while (!refused) {
        int fds[PMT_MESSAGE_FDS];
        unsigned fd_count = PMT_MESSAGE_FDS;
        int size = pmt_prim_receive_sigsafe(fd, recorder->message, PMT_MESSAGE_MAX, fds, &fd_count);
        if (size == -EMFILE && greeted && recorder->message[0] == PMT_MESSAGE_MAPS) {
            pmt_snapshots_refuse(&recorder->trace, greeted);
            continue;
        }
        if (size <= 0) {
            break;
        }
        bool taken = false;
        switch (recorder->message[0]) {
        case PMT_MESSAGE_HELLO:
            greeted = on_hello(recorder, (size_t)size, fds, fd_count);
            refused = !greeted;
            break;
        case PMT_MESSAGE_META:
            on_meta(recorder, (size_t)size, greeted ? greeted->number + 1 : 0);
            break;
        case PMT_MESSAGE_EVENTS:
            taken = on_events(recorder, (size_t)size, fds, fd_count);
            break;
        case PMT_MESSAGE_LANES:
            greeted = on_lanes(recorder, (size_t)size, fds, fd_count);
            break;
        case PMT_MESSAGE_FLUSH:
            on_flush(recorder, fd);
            break;
        case PMT_MESSAGE_BYE:
            on_bye(recorder, (size_t)size, fd);
            break;
        case PMT_MESSAGE_NAME:
            on_name(recorder, (size_t)size);
            break;
        case PMT_MESSAGE_MAPS:
            taken = pmt_request_maps(&recorder->trace, recorder->message, (size_t)size, fds, fd_count);
            break;
        case PMT_MESSAGE_SNAPSHOT:
            answer(fd, pmt_request_snapshot(&recorder->trace, recorder->message, (size_t)size, breathe, recorder));
            break;
        case PMT_MESSAGE_READY:
            if (greeted) {
                pmt_snapshots_take_first(&recorder->trace, greeted, breathe, recorder);
            }
            answer(fd, 0);
            break;
        default:
            break;
        }
        for (unsigned i = 0; i < fd_count && !taken; i++) {
            pmt_prim_close_sigsafe(fds[i]);
        }
        if (recorder->farewell == fd) {
            return;
        }
    }
    pmt_prim_close_sigsafe(fd);
}

void
pmt_read_control(pmt_recorder_t *recorder)
{
    unsigned no_fds = 0;
    int size = pmt_prim_receive_sigsafe(CONTROL, recorder->message, PMT_MESSAGE_MAX, NULL, &no_fds);
    if (size <= 0) {
        recorder->control_open = false;  // the launcher has gone
    } else if (recorder->message[0] == PMT_MESSAGE_META) {
        on_meta(recorder, (size_t)size, 0);
    } else if (recorder->message[0] == PMT_MESSAGE_END && size == (int)sizeof(pmt_end_message_t)) {
        pmt_end_message_t end;
        memcpy(&end, recorder->message, sizeof end);
        recorder->trace.root_end = end.end;
        recorder->trace.root_value = end.value;
        recorder->trace.root_end_known = true;
        recorder->told_at = pmt_prim_now_ns_sigsafe();
    }
}
