/* Many posters in one process, driven by lines on stdin.
 *
 *     post_load PORT SOURCE WAY PATH TOKENS NAP_US
 *
 * Each line of the file TOKENS is one poster's token; each has a connection of its own from SOURCE (an address of
 * 127/8) to 127.0.0.1:PORT, kept alive, and one post under way at most. WAY is "http": posts to PATH; or "websocket":
 * opens PATH and posts in frames. Says {"open": N} when all are connected, then obeys:
 *
 *     post RATE SECONDS   posts at RATE a second, whatever becomes of them: one that is due while all posters wait for
 *                         an answer goes when the next is free. Says what became of them, once all are answered or
 *                         nothing more has come for 5 s.
 *
 * Each answer is a JSON object on a line of its own. Ends with stdin. A post's time counts from when it was due. After
 * each look around it naps for NAP_US, so that answers gather; the nap adds at most itself to the time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_MAX = 64 * 1024,
    TOKEN_MAX = 2048,
    REQUEST_MAX = 4096 + TOKEN_MAX,
    EVENTS = 256,
    PATIENCE_S = 5,
    WAIT_MS = 1,
    TICK_US = 100,         /* resolution of the times */
    TICKS = 100 * 1000,    /* the last tick is: 10 s and more */
};

struct poster {
    int fd;
    int is_waiting;         /* for the answer to its post */
    uint64_t due_ns;
    size_t size, skip;      /* bytes in data; bytes of a frame that are still to come and say nothing */
    char token[TOKEN_MAX];
    char data[READ_MAX];
};

static struct poster *posters;
static int count, epoll, is_socket, nap_us;
static int *idle;           /* a ring: every poster has its turn */
static unsigned long idle_first, idle_last;
static const char *path;
static unsigned long accepted, refused, answered, lost, posted;
static unsigned late[TICKS];
static uint64_t began_ns, last_ns;

static const char TEXT[] = "What a goal, I can't believe he made that from there! Replay please, all";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void set_idle(struct poster *poster) { idle[idle_last++ % (unsigned long)count] = (int)(poster - posters); }

static void send_all(struct poster *poster, const char *data, size_t size) {
    /* Far less than a socket's buffer holds, and one at a time. */
    if (send(poster->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

/* -- posts -- */

static void post(struct poster *poster, unsigned long number, uint64_t due_ns) {
    char body[256], request[REQUEST_MAX];
    int size, body_size;
    poster->is_waiting = 1;
    poster->due_ns = due_ns;
    if (is_socket) {
        body_size = snprintf(body, sizeof body, "{\"post\":{\"request_id\":\"k%lu\",\"text\":\"%lu %s\"}}", number,
                             number, TEXT);
        /* A text frame whose mask is 0. */
        request[0] = (char)0x81;
        if (body_size < 126) {
            memcpy(request + 1, (char[]){(char)(0x80 | body_size), 0, 0, 0, 0}, 5);
            size = 6;
        } else {
            memcpy(request + 1, (char[]){(char)0xfe, (char)(body_size >> 8), (char)body_size, 0, 0, 0, 0}, 7);
            size = 8;
        }
        memcpy(request + size, body, (size_t)body_size);
        send_all(poster, request, (size_t)(size + body_size));
        return;
    }
    body_size = snprintf(body, sizeof body, "{\"text\":\"%lu %s\"}", number, TEXT);
    size = snprintf(request, sizeof request,
                    "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nIdempotency-Key: \"k%lu\"\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    path, poster->token, number, body_size, body);
    send_all(poster, request, (size_t)size);
}

static void settle(struct poster *poster, int is_accepted) {
    if (!poster->is_waiting) return;
    last_ns = now_ns();
    uint64_t tick = last_ns > poster->due_ns ? (last_ns - poster->due_ns) / (TICK_US * 1000) : 0;
    poster->is_waiting = 0;
    answered++;
    if (is_accepted) {
        accepted++;
        late[tick < TICKS ? tick : TICKS - 1]++;
    } else {
        refused++;
    }
    set_idle(poster);
}

static void lose(struct poster *poster) {
    lost++;
    if (poster->is_waiting) {
        answered++;
        refused++;
    }
    poster->is_waiting = 0;
    close(poster->fd);
    poster->fd = -1;
}

static void drop(struct poster *poster, size_t size) {
    poster->size -= size;
    memmove(poster->data, poster->data + size, poster->size);
}

/* Takes one whole HTTP response off the data; 0 when there is none yet. */
static int take_response(struct poster *poster) {
    char *end = memmem(poster->data, poster->size, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *length = strcasestr(poster->data, "\r\ncontent-length:");
    *end = '\r';
    size_t size = (size_t)(end + 4 - poster->data) + (length ? strtoul(length + 17, NULL, 10) : 0);
    if (poster->size < size) return 0;
    settle(poster, memcmp(poster->data + 9, "202", 3) == 0);
    drop(poster, size);
    return 1;
}

/* The same for a frame. Only its beginning is kept: what it says stands there. */
static int take_frame(struct poster *poster) {
    static const char posted_event[] = "{\"event\":\"posted\"", error_event[] = "{\"event\":\"error\"";
    const unsigned char *data = (const unsigned char *)poster->data;
    if (poster->skip) {
        size_t part = poster->skip < poster->size ? poster->skip : poster->size;
        poster->skip -= part;
        drop(poster, part);
        return poster->size > 0;
    }
    if (poster->size < 2) return 0;
    size_t head = 2, size = data[1] & 0x7f;
    if (size == 126) head = 4;
    if (size == 127) head = 10;
    if (poster->size < head) return 0;
    if (head > 2) size = 0;
    for (size_t at = 2; at < head; at++) size = size << 8 | data[at];
    size_t telling = size < sizeof posted_event ? size : sizeof posted_event;
    if (poster->size < head + telling) return 0;
    const char *payload = poster->data + head;
    if (telling == sizeof posted_event) {
        if (memcmp(payload, posted_event, sizeof posted_event - 1) == 0) settle(poster, 1);
        else if (memcmp(payload, error_event, sizeof error_event - 1) == 0) settle(poster, 0);
    }
    poster->skip = size;
    drop(poster, head);
    return 1;
}

static void read_one(struct poster *poster) {
    ssize_t size = recv(poster->fd, poster->data + poster->size, READ_MAX - poster->size, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        lose(poster);
        return;
    }
    poster->size += (size_t)size;
    while (is_socket ? take_frame(poster) : take_response(poster)) {}
}

/* -- connections -- */

static void open_one(struct poster *poster, const char *port, const char *source) {
    char request[REQUEST_MAX];
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(poster - posters)};
    int on = 1;
    if (!inet_aton(source, &from.sin_addr)) die("inet_aton");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poster->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (poster->fd < 0) die("socket");
    setsockopt(poster->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(poster->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(poster->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    if (connect(poster->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    if (is_socket) {
        int size = snprintf(request, sizeof request,
                            "GET %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"
                            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                            path, poster->token);
        send_all(poster, request, (size_t)size);
        char *end;
        do {
            ssize_t more = recv(poster->fd, poster->data + poster->size, READ_MAX - poster->size, 0);
            if (more <= 0) die("recv");
            poster->size += (size_t)more;
            end = memmem(poster->data, poster->size, "\r\n\r\n", 4);
        } while (!end);
        if (memcmp(poster->data + 9, "101", 3)) {
            fprintf(stderr, "post_load: not opened: %.*s\n", (int)poster->size, poster->data);
            exit(1);
        }
        drop(poster, (size_t)(end + 4 - poster->data));
        while (poster->size && take_frame(poster)) {}
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, poster->fd, &event)) die("epoll_ctl");
    set_idle(poster);
}

static void read_tokens(const char *file_name) {
    char line[TOKEN_MAX];
    FILE *file = fopen(file_name, "r");
    if (!file) die(file_name);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        posters = realloc(posters, (size_t)(count + 1) * sizeof *posters);
        if (!posters) die("realloc");
        memset(&posters[count], 0, sizeof *posters);
        memcpy(posters[count++].token, line, sizeof line);
    }
    fclose(file);
}

/* -- commands -- */

static void report(void) {
    const char *separator = "";
    printf("{\"posts\": %lu, \"accepted\": %lu, \"refused\": %lu, \"lost\": %lu, \"seconds\": %.6f, \"tick_us\": %d, "
           "\"late\": [",
           posted, accepted, refused, lost, (double)(last_ns - began_ns) / 1e9, TICK_US);
    for (int tick = 0; tick < TICKS; tick++) {
        if (!late[tick]) continue;
        printf("%s[%d, %u]", separator, tick, late[tick]);
        separator = ", ";
    }
    printf("]}\n");
    fflush(stdout);
}

static void run(double rate, double seconds) {
    static struct epoll_event events[EVENTS];
    static unsigned long number;
    unsigned long total = (unsigned long)(rate * seconds), due = 0;
    accepted = refused = answered = lost = posted = 0;
    memset(late, 0, sizeof late);
    began_ns = last_ns = now_ns();
    while (answered < total && now_ns() < last_ns + PATIENCE_S * 1000000000ull) {
        if (due < total) due = (unsigned long)((double)(now_ns() - began_ns) / 1e9 * rate) + 1;
        if (due > total) due = total;
        while (posted < due && idle_first < idle_last) {
            struct poster *poster = &posters[idle[idle_first++ % (unsigned long)count]];
            post(poster, ++number, began_ns + (uint64_t)((double)posted / rate * 1e9));
            posted++;
        }
        int ready = epoll_wait(epoll, events, EVENTS, WAIT_MS);
        for (int i = 0; i < ready; i++) {
            struct poster *poster = &posters[events[i].data.u32];
            if (poster->fd >= 0) read_one(poster);
        }
        if (nap_us) usleep((useconds_t)nap_us);
    }
    if (answered < total) last_ns = now_ns();
    posted = due;
    report();
}

int main(int argument_count, char **arguments) {
    char line[128];
    double rate, seconds;
    if (argument_count != 7) {
        fprintf(stderr, "usage: post_load PORT SOURCE http|websocket PATH TOKENS NAP_US\n");
        return 2;
    }
    is_socket = strcmp(arguments[3], "websocket") == 0;
    path = arguments[4];
    read_tokens(arguments[5]);
    nap_us = atoi(arguments[6]);
    idle = calloc((size_t)count, sizeof *idle);
    epoll = epoll_create1(0);
    if (epoll < 0 || !idle) die("epoll");
    for (int i = 0; i < count; i++) open_one(&posters[i], arguments[1], arguments[2]);
    printf("{\"open\": %d}\n", count);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "post %lf %lf", &rate, &seconds) != 2) {
            fprintf(stderr, "post_load: no such command: %s", line);
            return 2;
        }
        run(rate, seconds);
    }
    return 0;
}
