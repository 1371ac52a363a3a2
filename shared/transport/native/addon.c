// SPDX-License-Identifier: Apache-2.0
/*
 * What Node cannot do by itself inside a Nitro Enclave: AF_VSOCK sockets, and the NSM's ioctl. The addon makes and names
 * file descriptors; libuv reads and writes them. Every descriptor is close-on-exec and non-blocking from its first
 * moment, so that no child process of the gateway can inherit one. What can block runs on libuv's thread pool.
 *
 * Errors carry `errno`, positive; the TypeScript side names them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define NAPI_VERSION 8
#include <node_api.h>

/* linux/nsm.h is newer than many systems' headers. Sizes are those of the device's interface. */
struct nsm_iovec {
  uint64_t addr;
  uint64_t len;
};
struct nsm_raw {
  struct nsm_iovec request;
  struct nsm_iovec response;
};
#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)
#define NSM_REQUEST_MAX 0x1000
#define NSM_RESPONSE_MAX 0x3000

/* A pending exception is already what the caller has to see. */
#define TRY(env, call)                                                      \
  do {                                                                      \
    if ((call) != napi_ok) {                                                \
      bool pending = false;                                                 \
      napi_is_exception_pending((env), &pending);                           \
      if (!pending) napi_throw_error((env), NULL, "the Node API refused a call"); \
      return NULL;                                                          \
    }                                                                       \
  } while (0)

static napi_value system_error(napi_env env, int number) {
  napi_value message, error, value;
  if (napi_create_string_utf8(env, strerror(number), NAPI_AUTO_LENGTH, &message) != napi_ok) return NULL;
  if (napi_create_error(env, NULL, message, &error) != napi_ok) return NULL;
  if (napi_create_int32(env, number, &value) != napi_ok) return NULL;
  if (napi_set_named_property(env, error, "errno", value) != napi_ok) return NULL;
  return error;
}

static napi_value throw_system(napi_env env, int number) {
  napi_value error = system_error(env, number);
  if (error != NULL) napi_throw(env, error);
  return NULL;
}

/* Reads exactly `count` unsigned 32-bit integers; false with an exception for anything else. */
static bool read_numbers(napi_env env, napi_callback_info info, size_t count, uint32_t *numbers) {
  napi_value values[4];
  size_t given = 4;
  if (count > 4 || napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok) return false;
  for (size_t at = 0; at < count; at += 1) {
    double number = -1;
    if (at >= given || napi_get_value_double(env, values[at], &number) != napi_ok || !(number >= 0 && number <= UINT32_MAX) ||
        number != (double)(uint32_t)number) {
      napi_throw_type_error(env, NULL, "an unsigned 32-bit integer is expected");
      return false;
    }
    numbers[at] = (uint32_t)number;
  }
  return true;
}

static int vsock_socket(void) { return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

static struct sockaddr_vm vsock_address(uint32_t cid, uint32_t port) {
  struct sockaddr_vm address;
  memset(&address, 0, sizeof address);
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

/* bind(cid, port): a descriptor that libuv can listen on. */
static napi_value bind_vsock(napi_env env, napi_callback_info info) {
  uint32_t numbers[2];
  if (!read_numbers(env, info, 2, numbers)) return NULL;
  int fd = vsock_socket();
  if (fd == -1) return throw_system(env, errno);
  struct sockaddr_vm address = vsock_address(numbers[0], numbers[1]);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1) {
    int number = errno;
    close(fd);
    return throw_system(env, number);
  }
  napi_value result;
  if (napi_create_int32(env, fd, &result) == napi_ok) return result;
  close(fd);
  return NULL;
}

static napi_value describe(napi_env env, const struct sockaddr_vm *address) {
  napi_value result, cid, port;
  TRY(env, napi_create_object(env, &result));
  TRY(env, napi_create_uint32(env, address->svm_cid, &cid));
  TRY(env, napi_create_uint32(env, address->svm_port, &port));
  TRY(env, napi_set_named_property(env, result, "cid", cid));
  TRY(env, napi_set_named_property(env, result, "port", port));
  return result;
}

typedef int (*name_function)(int, struct sockaddr *, socklen_t *);

static napi_value name_of(napi_env env, napi_callback_info info, name_function ask) {
  uint32_t fd;
  if (!read_numbers(env, info, 1, &fd)) return NULL;
  struct sockaddr_vm address;
  memset(&address, 0, sizeof address);
  socklen_t length = sizeof address;
  if (ask((int)fd, (struct sockaddr *)&address, &length) == -1) return throw_system(env, errno);
  if (length < sizeof address || address.svm_family != AF_VSOCK) return throw_system(env, EAFNOSUPPORT);
  return describe(env, &address);
}

/* peer(fd), local(fd): {cid, port} of a vsock descriptor. */
static napi_value peer_of(napi_env env, napi_callback_info info) { return name_of(env, info, getpeername); }
static napi_value local_of(napi_env env, napi_callback_info info) { return name_of(env, info, getsockname); }

/* close(fd): for descriptors that libuv never took over. */
static napi_value close_fd(napi_env env, napi_callback_info info) {
  uint32_t fd;
  if (!read_numbers(env, info, 1, &fd)) return NULL;
  if (close((int)fd) == -1) return throw_system(env, errno);
  return NULL;
}

/* One piece of work on the thread pool, and the promise that it settles. */
struct work {
  napi_async_work handle;
  napi_deferred deferred;
  /* 0, or the errno that it ended with. */
  int error;
  /* connect */
  struct sockaddr_vm address;
  int timeout_ms;
  int fd;
  /* nsm */
  struct nsm_raw raw;
  uint8_t request[NSM_REQUEST_MAX];
  uint8_t response[NSM_RESPONSE_MAX];
};

static int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits until the descriptor is writable. Returns 0 or an errno. */
static int await_writable(int fd, int timeout_ms) {
  int64_t until = now_ms() + timeout_ms;
  for (;;) {
    int64_t left = until - now_ms();
    if (left < 0) return ETIMEDOUT;
    struct pollfd polled = {.fd = fd, .events = POLLOUT, .revents = 0};
    int ready = poll(&polled, 1, (int)left);
    if (ready > 0) return 0;
    if (ready == 0) return ETIMEDOUT;
    if (errno != EINTR) return errno;
  }
}

static void run_connect(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  int fd = vsock_socket();
  if (fd == -1) {
    work->error = errno;
    return;
  }
  int error = 0;
  if (connect(fd, (struct sockaddr *)&work->address, sizeof work->address) == -1) {
    error = errno;
    /* An interrupted connect goes on, like one in progress. */
    if (error == EINPROGRESS || error == EINTR) {
      error = await_writable(fd, work->timeout_ms);
      socklen_t length = sizeof error;
      if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1) error = errno;
    }
  }
  if (error != 0) {
    close(fd);
    work->error = error;
    return;
  }
  work->fd = fd;
}

static void run_nsm(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  if (ioctl(work->fd, NSM_IOCTL_RAW, &work->raw) == -1) work->error = errno;
  else if (work->raw.response.len > NSM_RESPONSE_MAX) work->error = EMSGSIZE;
}

/* Settles the promise. A descriptor that can no longer be handed over is closed: nobody else would. */
static void settle(napi_env env, struct work *work, napi_status status, napi_value result) {
  napi_value error = NULL;
  if (status != napi_ok && work->error == 0) work->error = ECANCELED;
  if (work->error != 0 || result == NULL) error = system_error(env, work->error == 0 ? ENOMEM : work->error);
  if (error != NULL) napi_reject_deferred(env, work->deferred, error);
  else if (result != NULL) napi_resolve_deferred(env, work->deferred, result);
  napi_delete_async_work(env, work->handle);
}

static void end_connect(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  napi_value result = NULL;
  if (status == napi_ok && work->error == 0 && napi_create_int32(env, work->fd, &result) != napi_ok) result = NULL;
  if (result == NULL && work->fd != -1) close(work->fd);
  settle(env, work, status, result);
  free(work);
}

static void end_nsm(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  napi_value result = NULL;
  if (status == napi_ok && work->error == 0) {
    void *copy = NULL;
    size_t length = (size_t)work->raw.response.len;
    if (napi_create_buffer_copy(env, length, work->response, &copy, &result) != napi_ok) result = NULL;
  }
  settle(env, work, status, result);
  /* A response may hold random bytes that become keys. */
  explicit_bzero(work->request, sizeof work->request);
  explicit_bzero(work->response, sizeof work->response);
  free(work);
}

/* Queues the work and returns its promise; frees the work if that fails. */
static napi_value start(napi_env env, struct work *work, const char *name, napi_async_execute_callback run, napi_async_complete_callback end) {
  napi_value promise = NULL, label;
  bool queued = napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label) == napi_ok &&
                napi_create_promise(env, &work->deferred, &promise) == napi_ok &&
                napi_create_async_work(env, NULL, label, run, end, work, &work->handle) == napi_ok;
  if (queued && napi_queue_async_work(env, work->handle) == napi_ok) return promise;
  free(work);
  napi_throw_error(env, NULL, "the work could not be queued");
  return NULL;
}

static struct work *new_work(napi_env env) {
  struct work *work = calloc(1, sizeof *work);
  if (work == NULL) napi_throw_error(env, NULL, "out of memory");
  else work->fd = -1;
  return work;
}

/* connect(cid, port, timeoutMs): promise of a connected descriptor. */
static napi_value connect_vsock(napi_env env, napi_callback_info info) {
  uint32_t numbers[3];
  if (!read_numbers(env, info, 3, numbers)) return NULL;
  if (numbers[2] > INT32_MAX) return throw_system(env, EINVAL);
  struct work *work = new_work(env);
  if (work == NULL) return NULL;
  work->address = vsock_address(numbers[0], numbers[1]);
  work->timeout_ms = (int)numbers[2];
  return start(env, work, "mcp-bastion:vsock", run_connect, end_connect);
}

/* openDevice(path): a descriptor of a character device. */
static napi_value open_device(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t given = 1, length = 0;
  char path[256];
  TRY(env, napi_get_cb_info(env, info, &given, &value, NULL, NULL));
  if (given < 1 || napi_get_value_string_utf8(env, value, path, sizeof path, &length) != napi_ok || length == sizeof path - 1 ||
      strlen(path) != length) {
    napi_throw_type_error(env, NULL, "a path is expected");
    return NULL;
  }
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd == -1) return throw_system(env, errno);
  struct stat status;
  if (fstat(fd, &status) == -1 || !S_ISCHR(status.st_mode)) {
    close(fd);
    return throw_system(env, ENOTTY);
  }
  napi_value result;
  if (napi_create_int32(env, fd, &result) == napi_ok) return result;
  close(fd);
  return NULL;
}

/* nsm(fd, request): promise of the device's response, a Buffer of its own. */
static napi_value ask_nsm(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t given = 2, length = 0;
  uint32_t fd;
  void *bytes = NULL;
  bool typed = false;
  napi_typedarray_type type = napi_int8_array;
  if (!read_numbers(env, info, 1, &fd)) return NULL;
  TRY(env, napi_get_cb_info(env, info, &given, values, NULL, NULL));
  if (given == 2) TRY(env, napi_is_typedarray(env, values[1], &typed));
  if (typed) TRY(env, napi_get_typedarray_info(env, values[1], &type, &length, &bytes, NULL, NULL));
  if (type != napi_uint8_array) {
    napi_throw_type_error(env, NULL, "a Uint8Array is expected");
    return NULL;
  }
  if (length == 0 || length > NSM_REQUEST_MAX) return throw_system(env, EMSGSIZE);
  struct work *work = new_work(env);
  if (work == NULL) return NULL;
  /* The caller may change its bytes meanwhile: the device sees a copy. */
  memcpy(work->request, bytes, length);
  work->fd = (int)fd;
  work->raw.request.addr = (uint64_t)(uintptr_t)work->request;
  work->raw.request.len = length;
  work->raw.response.addr = (uint64_t)(uintptr_t)work->response;
  work->raw.response.len = NSM_RESPONSE_MAX;
  return start(env, work, "mcp-bastion:nsm", run_nsm, end_nsm);
}

static napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      {"bind", NULL, bind_vsock, NULL, NULL, NULL, napi_enumerable, NULL},
      {"connect", NULL, connect_vsock, NULL, NULL, NULL, napi_enumerable, NULL},
      {"peer", NULL, peer_of, NULL, NULL, NULL, napi_enumerable, NULL},
      {"local", NULL, local_of, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_fd, NULL, NULL, NULL, napi_enumerable, NULL},
      {"openDevice", NULL, open_device, NULL, NULL, NULL, napi_enumerable, NULL},
      {"nsm", NULL, ask_nsm, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  TRY(env, napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties));
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
