#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "k4t/json.hpp"
#include "support/process.hpp"

/// The program itself, as far as it goes without a cluster: arguments, errors, help, and the texts that repeat the
/// help.

namespace k4t::cli {
namespace {

using testing::Scratch;

const std::string k4t = K4T_BINARY_DIR "/bin/k4t";

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// Runs k4t in an empty folder, standard output and error apart.
Outcome run_k4t(const std::vector<std::string>& arguments, const std::string& shell_suffix = {}) {
  const Scratch scratch;
  std::vector<std::string> argv{
      "/bin/sh",
      "-c",
      "cd \"$1\" && shift && unset K4T_CONFIG && k4t=$1 && shift && \"$k4t\" \"$@\" >out 2>err" + shell_suffix,
      "sh",
      scratch.path().string(),
      k4t};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Outcome outcome;
  outcome.exit_code = testing::run(argv).exit_code;
  outcome.out = Scratch::read(scratch.path() / "out");
  outcome.err = Scratch::read(scratch.path() / "err");
  return outcome;
}

std::string repository_file(const std::string& name) { return Scratch::read(std::string(K4T_SOURCE_DIR "/") + name); }

/// What `k4t … --help` says: the commands below it, and its own options, "-f" and "--file" apart.
struct Help {
  std::vector<std::string> commands;
  std::set<std::string> options;
};

Help read_help(const std::string& text) {
  static const std::set<std::string> command_groups{"Change the cluster", "Look at it", "Check it", "Commands"};
  Help help;
  std::string group;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.front() != ' ') group = line.ends_with(':') ? line.substr(0, line.size() - 1) : "";
    if (!line.starts_with("  ") || line.starts_with("   ")) continue;
    std::istringstream words(line);
    std::string word;
    if (command_groups.contains(group)) {
      words >> word;
      help.commands.push_back(word);
    }
    while (group == "Options" && words >> word && word.starts_with('-')) {
      if (word.ends_with(',')) word.pop_back();
      help.options.insert(word);
    }
  }
  return help;
}

/// Every command ("", "apply", "config check", …) and its options; those of "" may be given to all.
const std::map<std::string, Help>& all_help() {
  static const auto all = [] {
    std::map<std::string, Help> found;
    std::vector<std::vector<std::string>> waiting{{}};
    while (!waiting.empty()) {
      const auto path = waiting.back();
      waiting.pop_back();
      auto arguments = path;
      arguments.emplace_back("--help");
      const auto outcome = run_k4t(arguments);
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      Help help = read_help(outcome.out);
      std::string name;
      for (const auto& word : path) name += (name.empty() ? "" : " ") + word;
      for (const auto& command : help.commands) {
        waiting.push_back(path);
        waiting.back().push_back(command);
      }
      help.options.erase("-h");
      help.options.erase("--help");
      found[name] = std::move(help);
    }
    return found;
  }();
  return all;
}

std::set<std::string> words_starting_with(const std::string& text, const std::string& start) {
  std::set<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    while (!word.empty() && std::string(",.)|").find(word.back()) != std::string::npos) word.pop_back();
    if (word.starts_with(start)) words.insert(word);
  }
  return words;
}

TEST(Help, NamesEveryCommandWithItsOptions) {
  const auto& all = all_help();
  ASSERT_TRUE(all.contains("apply"));
  ASSERT_TRUE(all.contains("config check"));
  EXPECT_EQ(all.at("apply").options, (std::set<std::string>{"-f", "--file", "--force"}));
  EXPECT_TRUE(all.at("").options.contains("--take-over"));
  EXPECT_GE(all.size(), 14U);
}

TEST(Help, FitsOnATerminal) {
  for (const auto& [name, help] : all_help()) {
    std::vector<std::string> arguments;
    std::istringstream words(name);
    for (std::string word; words >> word;) arguments.push_back(word);
    arguments.emplace_back("--help");
    std::istringstream lines(run_k4t(arguments).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << name << ": " << line;
  }
}

TEST(Help, ExplainsTheExitCodes) {
  const std::string text = run_k4t({"--help"}).out;
  for (const char* code : {"  0  done", "  1  failed", "  2  wrong", "  3  done", "  4  cut short",
                           "  5  done, but on no", "  6  diff", "  7  node drain"}) {
    EXPECT_NE(text.find(code), std::string::npos) << code;
  }
}

/// The man page as text: no font changes, no escapes.
std::string man_page() {
  std::string plain;
  const std::string page = repository_file("docs/man/k4t.1");
  for (std::size_t i = 0; i < page.size(); ++i) {
    if (page[i] != '\\') {
      plain += page[i];
    } else if (page.compare(i, 2, "\\f") == 0) {
      i += 2;
    } else if (page.compare(i, 2, "\\-") == 0) {
      plain += '-';
      ++i;
    } else {
      ++i;
    }
  }
  return plain;
}

TEST(ManPage, DescribesEachCommandWithExactlyItsOptions) {
  const std::string page = man_page();
  const auto section = [&](const std::string& heading, const std::string& until) {
    const auto begin = page.find("\n" + heading);
    if (begin == std::string::npos) return std::string();
    return page.substr(begin + 1, page.find(until, begin + 2) - begin - 1);
  };
  for (const auto& [name, help] : all_help()) {
    if (!name.empty() && !help.commands.empty()) continue;
    const std::string text = name.empty() ? section(".SH OPTIONS", "\n.SH ") : section(".SS k4t " + name, "\n.S");
    ASSERT_FALSE(text.empty()) << name;
    auto options = words_starting_with(text, "-");
    options.erase("-h");
    options.erase("--help");
    EXPECT_EQ(options, help.options) << name;
  }
}

TEST(ManPage, ExplainsTheExitCodes) {
  const std::string page = man_page();
  for (const char* code : {"0", "1", "2", "3", "4", "5", "6", "7"}) {
    EXPECT_NE(page.find(std::string("\n.B ") + code + "\n"), std::string::npos) << code;
  }
}

/// What bash offers after these words, asked from the shell itself.
std::set<std::string> bash_offers(const std::vector<std::string>& words) {
  std::vector<std::string> argv{"bash",
                                "-c",
                                "compopt() { :; }; source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); "
                                "_k4t; printf '%s\\n' \"${COMPREPLY[@]}\"",
                                "bash",
                                K4T_SOURCE_DIR "/script/completions/k4t.bash",
                                k4t};
  argv.insert(argv.end(), words.begin(), words.end());
  const auto ran = testing::run(argv);
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  return words_starting_with(ran.out, "");
}

TEST(Completions, OfBashOfferExactlyWhatTheHelpSays) {
  for (const auto& [name, help] : all_help()) {
    std::vector<std::string> words;
    std::istringstream stream(name);
    for (std::string word; stream >> word;) words.push_back(word);
    words.emplace_back("-");
    auto expected = help.options;
    const auto& global = all_help().at("").options;
    expected.insert(global.begin(), global.end());
    if (!name.empty()) expected.erase("--version");
    expected.insert({"-h", "--help"});
    EXPECT_EQ(bash_offers(words), expected) << name;
    if (help.commands.empty()) continue;
    words.back().clear();
    for (const auto& command : help.commands) EXPECT_TRUE(bash_offers(words).contains(command)) << name << command;
  }
}

TEST(Completions, OfBashOfferValues) {
  EXPECT_EQ(bash_offers({"-o", ""}), (std::set<std::string>{"json", "text"}));
  EXPECT_TRUE(bash_offers({"config", "schema", "s"}).contains("service"));
}

TEST(Completions, OfZshKnowEveryCommandAndOption) {
  const std::string text = repository_file("script/completions/_k4t");
  for (const auto& [name, help] : all_help()) {
    const std::string command = name.substr(0, name.find(' '));
    std::string part = text;
    if (!help.options.empty() && !name.empty()) {
      const auto begin = text.find("\n        " + command + ") ");
      ASSERT_NE(begin, std::string::npos) << name;
      part = text.substr(begin, text.find(";;", begin) - begin);
    } else if (!name.empty()) {
      EXPECT_NE(text.find(name == command ? "    '" + name + ":" : name.substr(command.size() + 1)), std::string::npos)
          << name;
    }
    for (const auto& option : help.options) EXPECT_NE(part.find(option), std::string::npos) << name << ' ' << option;
  }
}

TEST(Completions, OfFishKnowEveryCommandAndOption) {
  std::set<std::string> lines;
  std::istringstream stream(repository_file("script/completions/k4t.fish"));
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  const auto has = [&](const std::vector<std::string>& parts) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return std::all_of(parts.begin(), parts.end(),
                         [&](const std::string& part) { return line.find(part) != std::string::npos; });
    });
  };
  for (const auto& [name, help] : all_help()) {
    const std::string last = name.substr(name.rfind(' ') + 1);
    EXPECT_TRUE(name.empty() || has({" -a " + last + " "})) << name;
    for (const auto& option : help.options) {
      const bool is_long = option.starts_with("--");
      const std::string flag = (is_long ? " -l " + option.substr(2) : " -s " + option.substr(1)) + " ";
      EXPECT_TRUE(has({flag, name.empty() ? "complete" : "_from " + last})) << name << ' ' << option;
    }
  }
}

TEST(Mistakes, AreNamedWithWhereToReadOn) {
  EXPECT_EQ(run_k4t({"aply"}).err, "error: there is no command 'aply'; see `k4t --help`\n");
  EXPECT_EQ(run_k4t({"config", "chek"}).err, "error: there is no command 'chek'; see `k4t config --help`\n");
  EXPECT_EQ(run_k4t({"plugin"}).err, "error: a command is missing after 'k4t plugin'; see `k4t plugin --help`\n");
  EXPECT_EQ(run_k4t({"apply"}).err, "error: --file is required; see `k4t apply --help`\n");
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {}, {"aply"}, {"plugin"}, {"apply"}, {"-o", "xml", "ps"}, {"ps", "--nonsense"}}) {
    const auto outcome = run_k4t(wrong);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

TEST(Mistakes, AreJsonWhereJsonWasAskedFor) {
  for (const auto& wrong : std::vector<std::vector<std::string>>{{"-o", "json"},
                                                                 {"-o", "json", "aply"},
                                                                 {"aply", "--output=json"},
                                                                 {"apply", "-ojson"},
                                                                 {"plan", "-o", "json", "-f", "/nowhere"},
                                                                 {"status", "-o", "json"},
                                                                 {"apply", "-f", "/nowhere", "-o", "json"},
                                                                 {"config", "check", "-o", "json"}}) {
    const auto outcome = run_k4t(wrong);
    EXPECT_EQ(outcome.exit_code, 2);
    const Json json = Json::parse(outcome.out, nullptr, false);
    EXPECT_TRUE(json.is_object() && (json.contains("error") || json.contains("diagnostics"))) << outcome.out;
  }
}

TEST(Mistakes, ADriverThatIsNotThereIsNamed) {
  const auto outcome = run_k4t({"plugin", "show", "haproxi", "--folder", "."});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("there is no driver 'haproxi'; there are none"), std::string::npos) << outcome.err;
}

TEST(Mistakes, AMissingClusterFileIsExplained) {
  const auto outcome = run_k4t({"-c", "mine.toml", "status"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_TRUE(outcome.err.starts_with("mine.toml: error: there is no such cluster file [K4T-CFG-001]\n"))
      << outcome.err;
  for (const char* remedy : {"-c FILE", "K4T_CONFIG", "config/k4t.toml", "k4t config check"}) {
    EXPECT_NE(outcome.err.find(remedy), std::string::npos) << remedy;
  }
}

TEST(Output, ThatCannotBeWrittenIsAFailure) {
  const auto outcome = run_k4t({"config", "schema"}, " >/dev/full");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("cannot write all results to standard output"), std::string::npos) << outcome.err;
}

TEST(Output, ThatNobodyReadsIsNoFailure) {
  const auto ran = testing::run({"bash", "-c", "\"$1\" config schema | true; echo \"${PIPESTATUS[0]}\"", "bash", k4t});
  EXPECT_EQ(ran.out, "0\n");
}

TEST(Output, OfVersionIsTextOrJson) {
  EXPECT_TRUE(run_k4t({"version"}).out.starts_with("k4t "));
  EXPECT_EQ(run_k4t({"--version"}).out, run_k4t({"version"}).out);
  EXPECT_TRUE(Json::parse(run_k4t({"-o", "json", "version"}).out).at("version").is_string());
}

}  // namespace
}  // namespace k4t::cli
