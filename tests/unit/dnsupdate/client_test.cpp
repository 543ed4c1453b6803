#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <thread>

#include "k4t/dnsupdate.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

/// Takes one connection on loopback, reads so many questions, and answers them as it is told: with messages in any
/// order.
class Answering {
 public:
  using Reply = std::function<std::vector<std::string>(std::vector<std::string> questions)>;

  Answering(std::size_t questions, Reply reply) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool listens = ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                         ::listen(listener_, 1) == 0 &&
                         ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (!listens) throw std::runtime_error("cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, questions, reply = std::move(reply)] { serve(questions, reply); });
  }
  ~Answering() {
    thread_.join();
    ::close(listener_);
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

  [[nodiscard]] Client client(std::size_t ahead_limit) const {
    return Client({"127.0.0.1", port_, std::chrono::seconds(30), ahead_limit}, nullptr);
  }

 private:
  void serve(std::size_t questions, const Reply& reply) const {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    std::vector<std::string> read;
    while (read.size() < questions) read.push_back(read_message(socket));
    for (const auto& message : reply(std::move(read))) {
      std::string bytes;
      put_u16(bytes, static_cast<std::uint16_t>(message.size()));
      bytes += message;
      ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    ::close(socket);
  }

  static std::string read_message(int socket) {
    std::string length(2, '\0');
    ::recv(socket, length.data(), length.size(), MSG_WAITALL);
    std::string message(get_u16(length, 0), '\0');
    ::recv(socket, message.data(), message.size(), MSG_WAITALL);
    return message;
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// An authoritative answer with one TXT record at the name that was asked for.
std::string txt_answer(std::string question, const std::string& text) {
  set_u16(question, 2, 0x8400);
  set_u16(question, 6, 1);
  put_u16(question, 0xc000 | header_bytes);
  put_u16(question, type::txt);
  put_u16(question, 1);
  put_u32(question, 5);
  const std::string rdata = make_rdata(type::txt, text).value();
  put_u16(question, static_cast<std::uint16_t>(rdata.size()));
  return question + rdata;
}

const std::vector<Question> three{
    {"a.example.net", type::txt}, {"b.example.net", type::txt}, {"c.example.net", type::txt}};

Limits patient() { return {std::chrono::steady_clock::now() + std::chrono::minutes(1), {}}; }

TEST(Questions, MayBeAnsweredInAnyOrder) {
  const Answering server(3, [](const std::vector<std::string>& questions) {
    return std::vector{txt_answer(questions.at(2), "third"), txt_answer(questions.at(0), "first"),
                       txt_answer(questions.at(1), "second")};
  });
  const auto answers = server.client(3).query(three, patient());
  ASSERT_TRUE(answers) << answers.error().message << answers.error().detail;
  std::vector<std::string> texts;
  for (const auto& answer : *answers) texts.push_back(single_text(answer.records.at(0).rdata).value());
  EXPECT_EQ(texts, (std::vector<std::string>{"first", "second", "third"}));
}

TEST(Questions, AreNotTakenForAnsweredByTheSameAnswerTwice) {
  const Answering server(3, [](const std::vector<std::string>& questions) {
    return std::vector<std::string>(3, txt_answer(questions.at(0), "first"));
  });
  EXPECT_EQ(server.client(3).query(three, patient()).status(), Status::unavailable);
}

TEST(Questions, NoneNeedNoServer) {
  Client client({"127.0.0.1", 1}, nullptr);
  const auto answers = client.query(std::vector<Question>(), patient());
  ASSERT_TRUE(answers);
  EXPECT_TRUE(answers->empty());
}

}  // namespace
}  // namespace k4t::dnsupdate
