/* A host that has lost its clock: every program under LD_PRELOAD sees the year 1970. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
  long result = syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME && result == 0) {
    time->tv_sec = 3600;
  }
  return (int)result;
}
