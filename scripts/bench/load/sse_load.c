/* Many viewers in one process, driven by lines on stdin.
 *
 *     sse_load PORT SOURCE REQUEST SAMPLE_EVERY NAP_US
 *
 * Viewers connect from SOURCE (an address of 127/8: each has 28,000 ports) to 127.0.0.1:PORT and send what the file
 * REQUEST holds. One that gets status 200 or 101 is a viewer from then on. Commands, one at a time:
 *
 *     open N AT_ONCE   opens N more, at most AT_ONCE of them unanswered at any moment; answers when all are answered
 *     begin            counts anew; answers {}
 *     report           answers with what was counted since
 *
 * Each answer is a JSON object on a line of its own. Ends with stdin.
 *
 * Comments carry "@@NUMBER:DUE;" in their text: numbers rise by one from comment to comment, DUE is the CLOCK_MONOTONIC
 * time in ns at which it was due to be posted. For each viewer it is checked that the numbers follow each other. That
 * is cheap because all viewers read the same bytes: what was read lately is kept with what it said, and compared.
 *
 * After each look around it naps for NAP_US, so that arrivals gather and the server's writes need not wake it one by
 * one; the nap adds at most itself to the latency, which is read on one viewer in SAMPLE_EVERY.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_MAX = 64 * 1024,
    MARK_MAX = 48,                                   /* longest marker, bytes */
    COMMENTS_MAX = (READ_MAX + MARK_MAX) / 6 + 1,    /* "@@1:1;" is the shortest */
    KNOWN = 4,                                       /* parts that are kept */
    EVENTS = 1024,
    OPEN_TIMEOUT_S = 60,
    TICK_US = 100,                                   /* resolution of the latency */
    TICKS = 100 * 1000,                              /* the last tick is: 10 s and more */
};

enum state { CONNECTING, ASKED, WATCHING, GONE };

struct viewer {
    int fd;
    uint8_t state;
    uint8_t cut_size;       /* bytes in cut */
    char cut[MARK_MAX];     /* the beginning of a marker at the end of what was read */
    uint64_t last;          /* number of its latest comment; 0 for none */
};

/* What was read at once, and the comments in it. */
struct part {
    size_t size;
    uint64_t used;
    int comments, follow;   /* follow: each number is the one before it plus one */
    size_t cut_at;          /* where a cut marker begins; size for none */
    uint64_t number[COMMENTS_MAX], due_ns[COMMENTS_MAX];
    char data[READ_MAX + MARK_MAX];
};

static struct {
    unsigned long comments, doubled, skipped, bytes, closed, samples;
    unsigned late[TICKS];
} seen;

static struct viewer *viewers;
static int opened, wanted, unanswered, at_once, established, refused;
static double opening_since;
static int epoll, port, sample_every, nap_us;
static struct in_addr source;
static char request[READ_MAX];
static size_t request_size;
static struct part known[KNOWN], joined;
static uint64_t uses;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double now_s(void) { return (double)now_ns() / 1e9; }

/* -- comments -- */

/* Reads digits up to an end mark; NULL when the data ends before it, or something else stands there. */
static const char *number_until(const char *at, const char *end, char mark, uint64_t *value, int *is_cut) {
    *value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) *value = *value * 10 + (uint64_t)(*at - '0');
    *is_cut = at == end;
    return at < end && *at == mark ? at + 1 : NULL;
}

static void parse(struct part *part) {
    const char *at = part->data, *end = part->data + part->size;
    part->comments = 0;
    part->follow = 1;
    part->cut_at = part->size;
    while ((at = memmem(at, (size_t)(end - at), "@@", 2))) {
        uint64_t number, due_ns;
        int is_cut;
        const char *behind = number_until(at + 2, end, ':', &number, &is_cut);
        if (behind) behind = number_until(behind, end, ';', &due_ns, &is_cut);
        if (behind) {
            int i = part->comments++;
            part->number[i] = number;
            part->due_ns[i] = due_ns;
            part->follow &= i == 0 || number == part->number[i - 1] + 1;
            at = behind;
        } else if (is_cut && end - at < MARK_MAX) {
            part->cut_at = (size_t)(at - part->data);
            return;
        } else {
            at += 2;
        }
    }
    if (part->size && end[-1] == '@') part->cut_at = part->size - 1;
}

static void count(struct viewer *viewer, const struct part *part) {
    int n = part->comments;
    if (n == 0) return;
    seen.comments += (unsigned long)n;
    if (part->follow && (viewer->last == 0 || part->number[0] == viewer->last + 1)) {
        viewer->last = part->number[n - 1];
    } else {
        for (int i = 0; i < n; i++) {
            if (part->number[i] <= viewer->last) {
                seen.doubled++;
                continue;
            }
            if (viewer->last) seen.skipped += part->number[i] - viewer->last - 1;
            viewer->last = part->number[i];
        }
    }
    if ((viewer - viewers) % sample_every) return;
    uint64_t now = now_ns();
    for (int i = 0; i < n; i++) {
        uint64_t tick = now > part->due_ns[i] ? (now - part->due_ns[i]) / (TICK_US * 1000) : 0;
        seen.late[tick < TICKS ? tick : TICKS - 1]++;
        seen.samples++;
    }
}

/* What a viewer has read, understood: from memory where another has read the same. */
static const struct part *understand(struct viewer *viewer, const char *data, size_t size) {
    struct part *oldest = &known[0];
    if (viewer->cut_size) {
        memcpy(joined.data, viewer->cut, viewer->cut_size);
        memcpy(joined.data + viewer->cut_size, data, size);
        joined.size = viewer->cut_size + size;
        parse(&joined);
        return &joined;
    }
    for (int i = 0; i < KNOWN; i++) {
        if (known[i].size == size && memcmp(known[i].data, data, size) == 0) {
            known[i].used = ++uses;
            return &known[i];
        }
        if (known[i].used < oldest->used) oldest = &known[i];
    }
    memcpy(oldest->data, data, size);
    oldest->size = size;
    oldest->used = ++uses;
    parse(oldest);
    return oldest;
}

static void take(struct viewer *viewer, const char *data, size_t size) {
    const struct part *part = understand(viewer, data, size);
    count(viewer, part);
    viewer->cut_size = (uint8_t)(part->size - part->cut_at);
    memcpy(viewer->cut, part->data + part->cut_at, viewer->cut_size);
}

/* -- connections -- */

static void lose(struct viewer *viewer) {
    if (viewer->state == WATCHING) {
        seen.closed++;
    } else {
        unanswered--;
        refused++;
    }
    close(viewer->fd);
    viewer->state = GONE;
}

static void open_one(void) {
    struct viewer *viewer = &viewers[opened];
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = source};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)opened};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    opened++;
    unanswered++;
    viewer->state = CONNECTING;
    viewer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (viewer->fd < 0) die("socket");
    /* The port is chosen when the destination is known, so that all of them can be used. */
    setsockopt(viewer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(viewer->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    if (connect(viewer->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        lose(viewer);
        return;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, viewer->fd, &event)) die("epoll_ctl");
}

static void ask(struct viewer *viewer) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(viewer - viewers)};
    if (send(viewer->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) {
        lose(viewer);
        return;
    }
    viewer->state = ASKED;
    epoll_ctl(epoll, EPOLL_CTL_MOD, viewer->fd, &event);
}

static void read_one(struct viewer *viewer) {
    static char data[READ_MAX];
    ssize_t size = recv(viewer->fd, data, sizeof data, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        lose(viewer);
        return;
    }
    seen.bytes += (unsigned long)size;
    if (viewer->state == ASKED) {
        if (size < 12 || (memcmp(data + 8, " 200", 4) && memcmp(data + 8, " 101", 4))) {
            lose(viewer);
            return;
        }
        viewer->state = WATCHING;
        unanswered--;
        established++;
    }
    take(viewer, data, (size_t)size);
}

/* -- commands -- */

static void answer_open(void) {
    printf("{\"established\": %d, \"refused\": %d, \"unanswered\": %d, \"seconds\": %.6f}\n", established, refused,
           unanswered, now_s() - opening_since);
    fflush(stdout);
    opening_since = 0;
}

static void go_on_opening(void) {
    if (!opening_since) return;
    while (opened < wanted && unanswered < at_once) open_one();
    if ((opened == wanted && !unanswered) || now_s() - opening_since > OPEN_TIMEOUT_S) answer_open();
}

static void report(void) {
    const char *separator = "";
    printf("{\"comments\": %lu, \"doubled\": %lu, \"skipped\": %lu, \"bytes\": %lu, \"closed\": %lu, "
           "\"tick_us\": %d, \"late\": [",
           seen.comments, seen.doubled, seen.skipped, seen.bytes, seen.closed, TICK_US);
    for (int tick = 0; seen.samples && tick < TICKS; tick++) {
        if (!seen.late[tick]) continue;
        printf("%s[%d, %u]", separator, tick, seen.late[tick]);
        separator = ", ";
    }
    printf("]}\n");
    fflush(stdout);
}

static void obey(void) {
    char line[128] = {0};
    int more, together;
    if (read(0, line, sizeof line - 1) <= 0) exit(0);
    if (sscanf(line, "open %d %d", &more, &together) == 2) {
        wanted = opened + more;
        at_once = together;
        opening_since = now_s();
        viewers = realloc(viewers, (size_t)wanted * sizeof *viewers);
        if (!viewers) die("realloc");
        memset(viewers + opened, 0, (size_t)more * sizeof *viewers);
    } else if (strcmp(line, "begin\n") == 0) {
        memset(&seen, 0, sizeof seen);
        printf("{}\n");
        fflush(stdout);
    } else if (strcmp(line, "report\n") == 0) {
        report();
    } else {
        fprintf(stderr, "sse_load: no such command: %s", line);
        exit(2);
    }
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    request_size = fread(request, 1, sizeof request, file);
    fclose(file);
}

int main(int argument_count, char **arguments) {
    static struct epoll_event events[EVENTS];
    const uint32_t commands = UINT32_MAX;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = commands};
    struct rlimit limit;
    if (argument_count != 6 || inet_aton(arguments[2], &source) == 0) {
        fprintf(stderr, "usage: sse_load PORT SOURCE REQUEST SAMPLE_EVERY NAP_US\n");
        return 2;
    }
    port = atoi(arguments[1]);
    read_request(arguments[3]);
    sample_every = atoi(arguments[4]) > 0 ? atoi(arguments[4]) : 1;
    nap_us = atoi(arguments[5]);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll = epoll_create1(0);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event)) die("epoll");

    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, opening_since ? 1 : 100);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.u32 == commands) {
                obey();
                continue;
            }
            struct viewer *viewer = &viewers[events[i].data.u32];
            if (viewer->state == CONNECTING) ask(viewer);
            else if (viewer->state != GONE) read_one(viewer);
        }
        go_on_opening();
        /* More may wait than one look shows. */
        if (nap_us && ready < EVENTS && !opening_since) usleep((useconds_t)nap_us);
    }
}
