// SPDX-License-Identifier: Apache-2.0
// The init of the image that eif.test.ts boots: prints what the security module says the image measured to, and one
// file of each ramdisk, on the console; then ends the machine.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

struct nsm_message {
  struct {
    uint64_t address;
    uint64_t length;
  } request, response;
};

#define NSM_REQUEST _IOWR(0x0A, 0, struct nsm_message)
#define PCR_BYTES 48

static void print_pcr(int device, uint8_t index) {
  // {"DescribePCR": {"index": n}}
  uint8_t request[] = "\xa1\x6b" "DescribePCR" "\xa1\x65" "index" "\x00";
  static uint8_t response[0x3000];
  const uint8_t label[] = "\x64" "data" "\x58\x30";
  struct nsm_message message = {{(uintptr_t)request, sizeof request - 1}, {(uintptr_t)response, sizeof response}};
  request[sizeof request - 2] = index;
  if (ioctl(device, NSM_REQUEST, &message) != 0) {
    printf("PCR%d failed\n", index);
    return;
  }
  const uint8_t *data = memmem(response, message.response.length, label, sizeof label - 1);
  printf("PCR%d ", index);
  for (int at = 0; data != NULL && at < PCR_BYTES; at += 1) printf("%02x", data[sizeof label - 1 + at]);
  printf("\n");
}

static void print_file(const char *path) {
  char text[64] = "";
  FILE *file = fopen(path, "r");
  printf("FILE %s %s\n", path, file != NULL && fgets(text, sizeof text, file) != NULL ? text : "is missing");
}

int main(void) {
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  int console = open("/dev/console", O_RDWR);
  for (int stream = 0; stream < 3; stream += 1) dup2(console, stream);
  int device = open("/dev/nsm", O_RDWR);
  const uint8_t indices[] = {0, 1, 2, 3, 4, 8};
  for (size_t at = 0; at < sizeof indices; at += 1) print_pcr(device, indices[at]);
  print_file("/app/message");
  print_file("/link");
  printf("END\n");
  fflush(stdout);
  sync();
  reboot(RB_AUTOBOOT);
  return 0;
}
