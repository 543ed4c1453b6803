#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log_file.hpp"
#include "support/process.hpp"

namespace {

using namespace k4t;
using namespace k4t::process;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> fresh_texts(LogReader& reader) {
  const auto lines = reader.fresh();
  std::vector<std::string> texts;
  for (const auto& line : *lines) {
    if (const auto parsed = parse_line(line)) texts.push_back((parsed->whole ? "" : "~") + parsed->text);
  }
  return texts;
}

struct Log {
  Scratch scratch;
  std::string path = scratch.path() / "log";
  std::string older = scratch.path() / "log.1";
};

TEST(ProcessLogFile, LinesAreSplitAndTheRestWaits) {
  const Log log;
  LogWriter writer(log.path, log.older, 1 << 20);
  LogReader reader(log.path, log.older);
  writer.append(Channel::out, "one\n\ntw");
  writer.append(Channel::err, "error\n");
  EXPECT_THAT(fresh_texts(reader), ElementsAre("one", "", "error"));
  writer.append(Channel::out, "o\nend");
  EXPECT_THAT(fresh_texts(reader), ElementsAre("two"));
  writer.flush();
  EXPECT_THAT(fresh_texts(reader), ElementsAre("~end"));
  EXPECT_THAT(fresh_texts(reader), IsEmpty());
}

TEST(ProcessLogFile, AnEndlessLineComesInPieces) {
  const Log log;
  LogWriter writer(log.path, log.older, 1 << 20);
  LogReader reader(log.path, log.older);
  writer.append(Channel::out, std::string(LogWriter::kLineBytes + 3, 'x') + "\n");
  EXPECT_THAT(fresh_texts(reader), ElementsAre("~" + std::string(LogWriter::kLineBytes, 'x'), "xxx"));
}

TEST(ProcessLogFile, AReaderLosesNothingWhenTheFileIsReplaced) {
  const Log log;
  LogWriter writer(log.path, log.older, 4096);
  LogReader reader(log.path, log.older);
  std::vector<std::string> seen;
  std::vector<std::string> wanted;
  for (int i = 0; i < 500; ++i) {
    wanted.push_back("line " + std::to_string(i));
    writer.append(Channel::out, wanted.back() + "\n");
    if (i % 7 == 0) {
      const auto fresh = fresh_texts(reader);
      seen.insert(seen.end(), fresh.begin(), fresh.end());
    }
  }
  const auto rest = fresh_texts(reader);
  seen.insert(seen.end(), rest.begin(), rest.end());
  EXPECT_EQ(seen, wanted);
  EXPECT_LE(std::filesystem::file_size(log.path), 4096u);
  EXPECT_LE(std::filesystem::file_size(log.older), 4096u);
}

TEST(ProcessLogFile, AFragmentLeftByACrashDoesNotSwallowTheNextLine) {
  const Log log;
  log.scratch.write("log", "2026-01-31T09:00:00.0000");
  LogWriter writer(log.path, log.older, 4096);
  writer.append(Channel::out, "next\n");
  LogReader reader(log.path, log.older);
  EXPECT_THAT(fresh_texts(reader), ElementsAre("next"));
}

}  // namespace
