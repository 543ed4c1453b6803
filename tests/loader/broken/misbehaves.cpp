// A plugin that loads well and then does what its calls' method name says: the fault-configurable mock of the tests.

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "parts.h"

namespace {

std::atomic<int> inside = 0;

void say(const k4t_call* call, std::string_view text) { call->reply(call->host, text.data(), text.size()); }

k4t_status describe(const k4t_call* call) {
#ifdef CONCURRENT
  say(call, R"({"name":"concurrent","kind":"gateway","version":"1","apis":["gateway.v1"],"concurrent":true})");
#else
  say(call, R"({"name":"misbehaves","kind":"gateway","version":"1","apis":["gateway.v1"]})");
#endif
  return K4T_OK;
}

k4t_status open(const k4t_call* call, const char* request, size_t bytes, void** handle) {
  const std::string_view text(request, bytes);
  if (text.find("\"throw\"") != std::string_view::npos) throw 3;
  if (text.find("\"nothing\"") != std::string_view::npos) return K4T_OK;
  if (text.find("\"refuse\"") != std::string_view::npos) {
    say(call, R"({"message":"option 'mode' is not for today","detail":"it is Sunday"})");
    return K4T_INVALID_ARGUMENT;
  }
  if (text.find("\"hang\"") != std::string_view::npos) std::this_thread::sleep_for(std::chrono::hours(1));
  return good_open(call, request, bytes, handle);
}

k4t_status call(void*, const k4t_call* context, const char* method, size_t bytes, const char*, size_t) {
  const std::string_view what(method, bytes);
  if (what == "observe") {  // lies: a register that is none
    say(context, R"({"content":"clean","half":false,"stored":{"cluster":"c","version":-1,"txn":"x","writer":"w"}})");
    return K4T_OK;
  }
  if (what == "connections") return K4T_OK;  // answers nothing where counts belong
  if (what == "throw") throw std::runtime_error("out of luck");
  if (what == "throw_int") throw 7;
  if (what == "fatal") {
    say(context, R"({"message":"invariant broken"})");
    return K4T_FATAL;
  }
  if (what == "not_json") {
    say(context, "{");
    return K4T_OK;
  }
  if (what == "undefined_status") return 77;
  if (what == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  if (what == "polite") {  // gives up when it is told to
    while (context->cancelled(context->host) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    say(context, R"({"message":"gave up as asked"})");
    return K4T_DEADLINE;
  }
  if (what == "stubborn") {  // comes back late, and talks to a host that has long gone on
    std::this_thread::sleep_for(std::chrono::seconds(1));
    context->log(context->host, 2, "late", 4);
    (void)context->stream(context->host, 1, "late", 4);
  }
  if (what == "count") {  // how many calls are inside at the same time
    const int now = ++inside;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    --inside;
    say(context, "{\"inside\":" + std::to_string(now) + "}");
    return K4T_OK;
  }
  say(context, "{}");
  return K4T_OK;
}

}  // namespace

extern "C" {
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {sizeof(k4t_driver), 0, 0, 0, describe, open, call, good_close};
}
