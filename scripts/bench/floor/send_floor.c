/* The floor: what the kernel alone takes from a server that seats viewers and writes the same bytes to each.
 *
 *     send_floor VIEWERS FIRST_BYTES
 *
 * Listens on a free port of 127.0.0.1 and prints "port P". Answers VIEWERS requests, each with a head and FIRST_BYTES
 * of filler, then prints "joins COUNT CPU_SECONDS". After that, each line "rounds COUNT SIZE PERIOD_US" on stdin
 * writes SIZE bytes to every viewer COUNT times, one round each PERIOD_US, and is answered by "sends COUNT REFUSED
 * CPU_SECONDS". Ends with stdin, or when somebody says something else.
 *
 * Nothing is kept for a viewer that does not take its bytes: a server that serves must do more than this, never less.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, REQUEST_MAX = 16 * 1024 };

static const char HEAD[] = "HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\r\n";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_until(double due) {
    double left = due - seconds(CLOCK_MONOTONIC);
    if (left > 0) usleep((useconds_t)(left * 1e6));
}

static void allow_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int listen_anywhere(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), wait_s = 3;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0) die("socket");
    /* A connection is accepted when its request is there: no viewer costs a wait. */
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &wait_s, sizeof wait_s);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, BACKLOG)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

/* Takes one viewer in, as plainly as it can be done, and asks to be told when it goes. */
static int seat(int listener, int epoll, const char *first, size_t size) {
    struct epoll_event going = {.events = EPOLLRDHUP | EPOLLET};
    static char request[REQUEST_MAX];
    int viewer, on = 1;
    viewer = accept4(listener, NULL, NULL, 0);
    if (viewer < 0) die("accept");
    setsockopt(viewer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (recv(viewer, request, sizeof request, 0) <= 0) die("recv");
    if (send(viewer, first, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, viewer, &going)) die("epoll_ctl");
    return viewer;
}

static void write_rounds(const int *viewers, int count, long rounds, long size, long period_us) {
    char *data = malloc((size_t)size);
    long sent = 0, refused = 0;
    double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    memset(data, 'x', (size_t)size);
    for (long round = 0; round < rounds; round++) {
        sleep_until(began + (double)(round * period_us) / 1e6);
        for (int i = 0; i < count; i++) {
            if (send(viewers[i], data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) == size) sent++;
            else refused++;
        }
    }
    printf("sends %ld %ld %.6f\n", sent, refused, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
    free(data);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: send_floor VIEWERS FIRST_BYTES\n");
        return 2;
    }
    int viewer_count = atoi(arguments[1]);
    size_t first_size = sizeof HEAD - 1 + (size_t)atol(arguments[2]);
    int *viewers = calloc((size_t)viewer_count + 1, sizeof *viewers);
    char *first = malloc(first_size), line[128];
    memset(first, 'x', first_size);
    memcpy(first, HEAD, sizeof HEAD - 1);
    allow_descriptors();

    int listener = listen_anywhere(), epoll = epoll_create1(0);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < viewer_count; i++) viewers[i] = seat(listener, epoll, first, first_size);
    printf("joins %d %.6f\n", viewer_count, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);

    long rounds, size, period_us;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "rounds %ld %ld %ld", &rounds, &size, &period_us) == 3)
        write_rounds(viewers, viewer_count, rounds, size, period_us);
    return 0;
}
