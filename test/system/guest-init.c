// SPDX-License-Identifier: Apache-2.0
// The init of the image that guest.test.ts boots: mounts what Node needs, runs the program of the second ramdisk, and ends
// the machine with it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  mount("proc", "/proc", "proc", 0, NULL);
  mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
  int console = open("/dev/console", O_RDWR);
  for (int stream = 0; stream < 3; stream += 1) dup2(console, stream);
  pid_t child = fork();
  if (child == 0) {
    char *const arguments[] = {"/app/node", "/app/test/system/guest.ts", NULL};
    char *const environment[] = {"PATH=/app", "HOME=/tmp", NULL};
    execve(arguments[0], arguments, environment);
    perror("execve");
    _exit(127);
  }
  int status = 0;
  while (waitpid(-1, &status, 0) != child) continue;
  printf("END %d\n", status);
  fflush(stdout);
  sync();
  reboot(RB_AUTOBOOT);
  return 0;
}
