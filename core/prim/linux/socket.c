// Local sockets (prim.h): sequenced packets on an abstract address, which leaves no file behind. The name is a long random token and both sides check
// that the peer runs as the same user.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "prim/prim.h"

// A wait that a signal cut short is begun again, but under a storm of signals it must end too.
enum { INTERRUPTIONS_MAX = 200 };

static void
bound_waits(int fd)
{
    struct timeval wait = {0, PMT_MESSAGE_WAIT_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

// The peer runs as our own user, or one of us is root. False: errno says why.
static bool
peer_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return false;
    }
    errno = EPERM;
    return peer.uid == geteuid() || peer.uid == 0 || geteuid() == 0;
}

int
pmt_prim_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    bound_waits(fd);
    if (!peer_allowed(fd)) {
        close(fd);
        return -EPERM;
    }
    return fd;
}

int
pmt_prim_connect_sigsafe(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length + 1 > sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path + 1, name, length);  // the leading NUL makes it abstract
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    bound_waits(fd);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    if (connect(fd, (struct sockaddr *)&address, size) < 0 || !peer_allowed(fd)) {
        int err = errno ? -errno : -EPERM;
        close(fd);
        return err;
    }
    return fd;
}

int
pmt_prim_send_sigsafe(int fd, const void *message, size_t size, const int *fds, unsigned fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PMT_MESSAGE_FDS)];
    struct iovec data = {(void *)message, size};
    struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd_count > PMT_MESSAGE_FDS) {
        return -EINVAL;
    }
    if (fd_count > 0) {
        memset(control, 0, sizeof control);
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    ssize_t n = -1;
    errno = EINTR;
    for (int i = 0; i < INTERRUPTIONS_MAX && n < 0 && errno == EINTR; i++) {
        n = sendmsg(fd, &header, MSG_NOSIGNAL);
    }
    return n < 0 ? -errno : 0;
}

int
pmt_prim_receive_sigsafe(int fd, void *message, size_t size, int *fds, unsigned *fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PMT_MESSAGE_FDS)];
    struct iovec data = {message, size};
    struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    unsigned room = *fd_count;
    *fd_count = 0;
    ssize_t n = -1;
    errno = EINTR;
    for (int i = 0; i < INTERRUPTIONS_MAX && n < 0 && errno == EINTR; i++) {
        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    }
    if (n < 0) {
        return -errno;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (*fd_count < room) {
                fds[(*fd_count)++] = received;
            } else {
                close(received);
            }
        }
    }
    if (header.msg_flags & MSG_CTRUNC) {  // descriptors are missing, and what remains could be misunderstood
        for (unsigned i = 0; i < *fd_count; i++) {
            close(fds[i]);
        }
        *fd_count = 0;
        return -EMFILE;
    }
    return (int)n;
}
