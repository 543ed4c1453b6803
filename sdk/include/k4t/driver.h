/* k4t driver ABI, major version 1: the whole boundary between k4t and a plugin.
 *
 * A plugin is a shared library that exports one data symbol, `k4t_driver_v1`. Authors normally never see this
 * file: <k4t/gateway.hpp>, <k4t/dns.hpp>, <k4t/runtime.hpp> and <k4t/power.hpp> turn a C++ class into it.
 *
 * Conventions, the same everywhere:
 *  - Text is UTF-8 with an explicit length and is not NUL-terminated unless a field says so. Payloads are JSON whose
 *    shapes are in sdk/schema/. No pointer ever travels inside a payload.
 *  - Memory stays with whoever allocated it: arguments are valid until the call returns; replies are handed over by
 *    `k4t_call.reply`, which copies them before it returns. Nothing is freed across the boundary.
 *  - No exception, and no type of any C++ library, crosses.
 *  - Every struct begins with its size in bytes as its writer compiled it. Fields are only ever appended; a reader
 *    takes the smaller of the two sizes and reads the rest as zero.
 *  - A driver that does not declare "concurrent" is called by one thread at a time per handle; distinct handles are
 *    called in parallel. Callbacks may be used only during the call that carried them, from any one thread at a time.
 *  - The library is never unloaded. */
#ifndef K4T_DRIVER_H
#define K4T_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define K4T_ABI_MAJOR 1u
#define K4T_ABI_MINOR 0u
#define K4T_DRIVER_SYMBOL "k4t_driver_v1"

/* Outcome of every call. With any other than K4T_OK the reply, if there is one, is {"message": …, "detail": …}. */
typedef int32_t k4t_status;
#define K4T_OK 0
#define K4T_INVALID_ARGUMENT 1 /* the request can never succeed as it is: tell the user                          */
#define K4T_NOT_FOUND 2        /* the thing named does not exist, and that is known                              */
#define K4T_CONFLICT 3         /* the thing is not in the state that the caller compared it with; nothing changed */
#define K4T_BUSY 4             /* someone else is changing it now: retry soon                                    */
#define K4T_UNSUPPORTED 5      /* the driver or the vendor cannot do this, ever                                  */
#define K4T_UNAVAILABLE 6      /* no answer, so nothing is known: retry                                          */
#define K4T_DEADLINE 7         /* the deadline passed; whether the effect happened is not known                  */
#define K4T_FATAL 8            /* the driver is broken or found a broken invariant: stop using this handle       */

/* What the host lends to one call. `host` is passed back in every callback. */
typedef struct k4t_call {
  uint32_t size;
  /* Time left when the call begins; 0: none set. */
  uint32_t timeout_ms;
  void* host;
  /* Non-zero: give up soon with K4T_DEADLINE. */
  int32_t (*cancelled)(void* host);
  /* At most once per call. */
  void (*reply)(void* host, const char* json, size_t json_bytes);
  /* 0 trace, 1 debug, 2 info, 3 warning, 4 error. */
  void (*log)(void* host, int32_t level, const char* text, size_t text_bytes);
  /* sdk/schema/progress.json */
  void (*progress)(void* host, const char* json, size_t json_bytes);
  /* Channel 1: standard output, 2: standard error. Any status but K4T_OK: the host wants no more. */
  k4t_status (*stream)(void* host, int32_t channel, const char* data, size_t data_bytes);
} k4t_call;

typedef struct k4t_driver {
  uint32_t size;
  /* K4T_ABI_MINOR that the plugin was built with. */
  uint32_t abi_minor;
  /* The oldest host minor that it can work with. */
  uint32_t min_host_minor;
  /* Zero. */
  uint32_t reserved;
  /* Replies the manifest (sdk/schema/manifest.json): name, kind, API versions, capabilities, options schema. */
  k4t_status (*describe)(const k4t_call* call);
  /* Opens one configured thing (a node, a gateway, …; sdk/schema/open.json). Connects lazily: a server that is down
   * fails calls, not open. On K4T_OK `*handle` is the caller's until close. */
  k4t_status (*open)(const k4t_call* call, const char* request, size_t request_bytes, void** handle);
  k4t_status (*call)(void* handle, const k4t_call* call, const char* method, size_t method_bytes, const char* request,
                     size_t request_bytes);
  void (*close)(void* handle);
} k4t_driver;

#if defined(_WIN32)
#define K4T_EXPORT __declspec(dllexport)
#else
#define K4T_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
}
#endif
#endif /* K4T_DRIVER_H */
