#include "k4t/json.hpp"

#include <gtest/gtest.h>

#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "k4t/runtime.hpp"

namespace k4t {
namespace {

enum class Color { red, green };
K4T_JSON_ENUM(Color, {Color::red, "red"}, {Color::green, "green"})

struct Inner {
  std::string name;
  std::optional<std::vector<int>> numbers;
  friend bool operator==(const Inner&, const Inner&) = default;
};
K4T_JSON(Inner, name, numbers)

struct Outer {
  std::vector<Inner> inners;
  std::optional<Inner> maybe;
  std::map<std::string, std::vector<std::string>> texts;
  Color color = Color::red;
  double share = 0;
  bool on = false;
  std::uint16_t port = 7;
  std::int64_t below = 0;
  Json any;
  friend bool operator==(const Outer&, const Outer&) = default;
};
K4T_JSON(Outer, inners, maybe, texts, color, share, on, port, below, any)

struct Empty {};
K4T_JSON_EMPTY(Empty)

Outer full() {
  Outer value;
  value.inners = {{"first", std::vector{1, -2, 3}}, {"", {}}, {"\"quoted\" \\ \n \x7f \xc3\xa4", std::vector<int>{}}};
  value.maybe = Inner{"maybe", {}};
  value.texts = {{"a", {"x", "y"}}, {"b", {}}};
  value.color = Color::green;
  value.share = 0.1;
  value.on = true;
  value.port = 65535;
  value.below = -1234567890123;
  value.any = Json::parse(R"({"deep": [{"er": null}, [], "text", 1.5, true], "and": {}})");
  return value;
}

std::string refusal(std::string_view text) {
  const auto value = decode_text<Outer>(text);
  return value ? "" : value.error().message;
}

TEST(JsonText, SaysWhatTheJsonOfTheValueSays) {
  for (const Outer& value : {Outer{}, full()}) {
    const auto text = JsonText::of(value);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text.text(), Json(value).dump());
    EXPECT_EQ(json_text(value), text.text());
  }
  EXPECT_EQ(JsonText::of(Empty{}).text(), "{}");
  EXPECT_EQ(JsonText(Json{{"a", 1}}).text(), R"({"a":1})");
}

TEST(JsonText, IsReadAsItsJsonIs) {
  for (const Outer& value : {Outer{}, full()}) {
    const auto read = decode_text<Outer>(JsonText::of(value).text());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, value);
  }
  EXPECT_TRUE(decode_text<Empty>(R"({"unknown": {"a": [1]}})"));
}

TEST(JsonText, HasAStateThereAndBack) {
  dns::PrepareRequest request;
  request.target = {"test", 3, std::string(32, 'a'), "run.1"};
  request.state = {"k4t.example.net", {{"web.k4t.example.net", dns::Type::a, 5, {"192.0.2.1", "192.0.2.2"}}}};
  request.base = dns::State{"k4t.example.net", {}};
  const auto read = decode_text<dns::PrepareRequest>(JsonText::of(request).text());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(Json(*read), Json(request));
  EXPECT_EQ(read->state, request.state);
  EXPECT_EQ(read->base, request.base);
  EXPECT_EQ(read->seen, std::nullopt);
}

TEST(JsonText, OfAStringThatIsNotUtf8IsNotOk) {
  Outer value;
  value.inners = {{"\xff", {}}};
  EXPECT_FALSE(JsonText::of(value).ok());
  EXPECT_EQ(JsonText::of(value).text(), "");
  EXPECT_FALSE(JsonText(Json("\xff")).ok());
}

TEST(JsonText, LeavesOutAndKeepsAsDecodeDoes) {
  const char* const text =
      R"({"port": 1, "unknown": {"deep": [1, {"a": 2}]}, "inners": [{"name": "a"}], "maybe": null})";
  const auto read = decode_text<Outer>(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, *decode<Outer>(Json::parse(text)));
  const auto twice =
      decode_text<Outer>(R"({"inners": [{"name": "a"}], "inners": [{"name": "b"}], "port": 1, "port": 2})");
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->inners, (std::vector<Inner>{{"b", {}}})) << "the last of two counts";
  EXPECT_EQ(twice->port, 2);
}

TEST(JsonText, NamesTheFieldThatDoesNotFit) {
  EXPECT_NE(refusal(R"({"inners": [{"name": "a"}, {"name": 5}]})").find("inners: name: "), std::string::npos)
      << refusal(R"({"inners": [{"name": "a"}, {"name": 5}]})");
  EXPECT_NE(refusal(R"({"port": 65536})").find("port: number out of range"), std::string::npos);
  EXPECT_NE(refusal(R"({"port": -1})").find("port: number out of range"), std::string::npos);
  EXPECT_NE(refusal(R"({"port": 1.5})").find("port: expected an integer"), std::string::npos);
  EXPECT_NE(refusal(R"({"color": "blue"})").find("color: unknown value 'blue'"), std::string::npos);
  EXPECT_NE(refusal(R"({"inners": {}})").find("inners: expected an array"), std::string::npos);
  EXPECT_NE(refusal(R"({"maybe": []})").find("maybe: expected an object"), std::string::npos);
  EXPECT_NE(refusal(R"({"maybe": {"numbers": ["x"]}})").find("maybe: numbers: expected an integer"), std::string::npos);
  for (const char* bad :
       {"", "{", R"({"port": 1} x)", "[]", "null", "5", R"({"on": "yes"})", R"({"inners": null})",
        R"({"inners": [null]})", R"({"port": [1]})", R"({"texts": {"a": "b"}})", "{\"any\": \"\xff\"}"}) {
    EXPECT_FALSE(decode_text<Outer>(bad)) << bad;
  }
}

TEST(JsonText, IsRefusedWhereverItIsCut) {
  const std::string text = JsonText::of(full()).text();
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(decode_text<Outer>(text.substr(0, size))) << size;
}

}  // namespace
}  // namespace k4t
