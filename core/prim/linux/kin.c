// Forks, execs and ends of all the system's processes, as the kernel's process connector tells them (prim.h). Used by the recorder, which has one thread.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prim/prim.h"

// The kernel's, see include/uapi/linux/cn_proc.h, where they have changed their places between versions.
enum { TOLD_FORK = 0x1, TOLD_EXEC = 0x2, LISTEN = 1, IGNORE = 2 };
static const uint32_t TOLD_END = 0x80000000;
typedef struct told_s {
    struct nlmsghdr netlink;
    struct cn_msg connector;
    uint32_t what, cpu;
    uint32_t time[2];   // one number, not aligned: CLOCK_MONOTONIC, ns
    uint32_t value[6];  // fork: the parent's tid and pid, the child's tid and pid; exec: tid, pid; end: tid, pid, wait status
} told_t;
_Static_assert(sizeof(told_t) == 76, "no padding");
typedef struct request_s {
    struct nlmsghdr netlink;
    struct cn_msg connector;
    uint32_t operation;
} request_t;

static const int ROOM = 1 << 20;  // bytes for what waits to be read, where the system allows as much

static _Atomic uint32_t doorbell;

// Lets through what happens to processes; that of their further threads has a tid that is not the pid. The kernel's numbers appear in network order.
static int
filter(int fd)
{
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(told_t, member))
#define IF_IS(number, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(number), yes, no)
    struct sock_filter code[] = {
        /* 0 */ LOAD(what),
        /* 1 */ IF_IS(TOLD_EXEC, 10, 0),
        /* 2 */ IF_IS(TOLD_END, 5, 0),
        /* 3 */ IF_IS(TOLD_FORK, 0, 9),
        /* 4 */ LOAD(value[2]),
        /* 5 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 6 */ LOAD(value[3]),
        /* 7 */ BPF_STMT(BPF_JMP | BPF_JA, 3),
        /* 8 */ LOAD(value[0]),
        /* 9 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 10 */ LOAD(value[1]),
        /* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
        /* 12 */ BPF_STMT(BPF_RET | BPF_K, sizeof(told_t)),
        /* 13 */ BPF_STMT(BPF_RET | BPF_K, 0),
    };
#undef LOAD
#undef IF_IS
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int
ask(int fd, uint32_t operation)
{
    request_t request = {
        .netlink = {.nlmsg_len = sizeof request, .nlmsg_type = NLMSG_DONE},
        .connector = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof request.operation},
        .operation = operation,
    };
    return send(fd, &request, sizeof request, 0) < 0 ? -1 : 0;
}

static void
ring(int signo)
{
    (void)signo;
    atomic_fetch_add_explicit(&doorbell, 1, memory_order_relaxed);
}

// SIGIO is blocked but for the waits that it is to end; without SA_RESTART it does.
static int
ring_at_events(int fd)
{
    struct sigaction action = {.sa_handler = ring};
    pmt_prim_kin_listen(false);
    return sigaction(SIGIO, &action, NULL) < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0 ? -1 : 0;
}

int
pmt_prim_kin_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0) {
        return -errno;
    }
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &ROOM, sizeof ROOM);
    if (filter(fd) < 0 || ring_at_events(fd) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || ask(fd, LISTEN) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

void
pmt_prim_kin_close(int fd)
{
    if (fd >= 0) {
        ask(fd, IGNORE);  // kernels before 6.6 do not see that we are gone
        close(fd);
    }
}

static bool
understand(const told_t *told, pmt_kin_event_t *out)
{
    memcpy(&out->time, told->time, sizeof out->time);
    switch (told->what) {
    case TOLD_FORK:
        out->kind = PMT_KIN_FORK;
        out->parent = told->value[1];
        out->pid = told->value[3];
        return true;
    case TOLD_EXEC:
        out->kind = PMT_KIN_EXEC;
        out->pid = told->value[1];
        return true;
    case TOLD_END:
        out->kind = PMT_KIN_END;
        out->pid = told->value[1];
        out->status = (int)told->value[2];
        return true;
    default:
        return false;
    }
}

int
pmt_prim_kin_next(int fd, pmt_kin_event_t *out)
{
    for (;;) {
        told_t told;
        struct sockaddr_nl sender;
        socklen_t sender_size = sizeof sender;
        ssize_t size = recvfrom(fd, &told, sizeof told, 0, (struct sockaddr *)&sender, &sender_size);
        if (size < 0) {
            return errno == EAGAIN ? 0 : -errno;
        }
        if (size == sizeof told && sender.nl_pid == 0 && understand(&told, out)) {  // from the kernel, not from a process
            return 1;
        }
    }
}

_Atomic uint32_t *
pmt_prim_kin_doorbell(void)
{
    return &doorbell;
}

void
pmt_prim_kin_listen(bool listen)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(listen ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}
