/* What the broken libraries have in common: plain C against driver.h, as a plugin in any language would be. */
#ifndef K4T_TESTS_LOADER_PARTS_H
#define K4T_TESTS_LOADER_PARTS_H

#include "k4t/driver.h"

#define REPLY(CALL, TEXT) (CALL)->reply((CALL)->host, TEXT, sizeof(TEXT) - 1)
#define MANIFEST                                                                        \
  "{\"name\":\"odd\",\"kind\":\"gateway\",\"version\":\"1\",\"apis\":[\"gateway.v1\"]," \
  "\"capabilities\":[],\"options_schema\":{}}"

static inline k4t_status good_describe(const k4t_call* call) {
  REPLY(call, MANIFEST);
  return K4T_OK;
}

static inline k4t_status good_open(const k4t_call* call, const char* request, size_t bytes, void** handle) {
  static int thing;
  (void)call;
  (void)request;
  (void)bytes;
  *handle = &thing;
  return K4T_OK;
}

static inline k4t_status good_call(void* handle, const k4t_call* call, const char* method, size_t method_bytes,
                                   const char* request, size_t request_bytes) {
  (void)handle;
  (void)method;
  (void)method_bytes;
  (void)request;
  (void)request_bytes;
  REPLY(call, "{\"content\":\"clean\",\"half\":false}");
  return K4T_OK;
}

static inline void good_close(void* handle) { (void)handle; }

#endif
