#include "crash/killable.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

/// In front of a program of nginx's host: counts its calls, and dies with its caller and k4t at the wanted one.
constexpr const char* shell_wrapper = R"sh(#!/bin/sh
folder=@points@
at=$(($(cat "$folder/count.@name@" 2>/dev/null || echo 0) + 1))
echo $at > "$folder/count.@name@"
echo "nginx $at before @name@
nginx $at after @name@" >> "$folder/reached"
read -r wanted < "$folder/wanted"
case $wanted in
  "nginx $at before @name@") ;;
  "nginx $at after @name@") @real@ "$@" ;;
  *) exec @real@ "$@" ;;
esac
read -r pid < "$folder/../pid.txt"
kill -KILL "$pid" $PPID
)sh";

/// In front of perl, which runs all that HAProxy's driver does on its host: turns the marks in its programs into what
/// the wish says.
constexpr const char* perl_wrapper = R"perl(#!@real@
my ($folder, @words) = ('@points@', @ARGV);
open my $in, '<', "$folder/wanted" or die;
chomp(my $wanted = <$in> // '');
if (@words > 1 && $words[0] eq '-e') {
  $words[1] =~ s{# step: (\w+)\n}{
    my $moment = "haproxy 1 $1";
    my $note = "{ open my \$to, '>>', '$folder/reached'; print \$to \"$moment\\n\"; }\n";
    $wanted eq $moment ? "kill 'KILL', getppid, \$\$; sleep 1 while 1;\n" : $note;
  }ge;
}
exec '@real@', @words;
)perl";

std::string filled(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Names of instances are drawn anew each time, and so are the ids of witnesses that replace others.
std::string without_chance(const std::string& mark) {
  static const std::regex instance(R"((demo-[a-z0-9]+)-[a-z][a-z0-9]{5}\b)");
  static const std::regex witness(R"(\b(w[0-9])(-x[0-9a-f]{6})?\b)");
  return std::regex_replace(std::regex_replace(mark, instance, "$1-*"), witness, "$1*");
}

/// One value of the environment that marks all processes that a command starts.
constexpr const char* mark_name = "K4T_CRASH_TEST";

RealClusterOptions options(std::uint16_t first_port) {
  RealClusterOptions usual;
  usual.first_port = first_port;
  return usual;
}

bool is_marked(const fs::path& process, const std::string& mark) {
  const std::string environment = Scratch::read(process / "environ");
  return environment.find(mark) != std::string::npos;
}

}  // namespace

Killable::Killable(std::uint16_t first_port) : cluster_(options(first_port)) {
  for (std::size_t server = 0; server < 2; ++server) {
    const auto port = (server == 0 ? cluster_.ns1() : cluster_.ns2()).port();
    proxies_[server] = std::make_unique<DnsProxy>(
        port, [this, server](bool update, std::string& /*answer*/) { return on_answer(server, update); });
    cluster_.edit_config("options.port = " + std::to_string(port) + "\n",
                         "options.port = " + std::to_string(proxies_[server]->port()) + "\n");
  }
  fs::create_directories(points() / "bin");
  write_wrappers();
}

void Killable::write_wrappers() const {
  for (const char* name : {"mv", "sync", "ln", "rm", "nginx"}) {
    std::string text = filled(shell_wrapper, "@name@", name);
    text = filled(filled(text, "@real@", find_program(name)), "@points@", points().string());
    cluster_.scratch().write("points/bin/" + std::string(name), text, 0755);
  }
  const std::string text = filled(filled(perl_wrapper, "@real@", find_program("perl")), "@points@", points().string());
  cluster_.scratch().write("points/bin/perl", text, 0755);
}

void Killable::kill_now() const {
  const std::string text = Scratch::read(cluster_.folder() / "pid.txt");
  if (!text.empty()) ::kill(std::stoi(text), SIGKILL);
}

bool Killable::on_answer(std::size_t server, bool update) {
  if (!update || ++updates_[server] != kill_at_update_[server]) return true;
  kill_now();
  return false;
}

RealCluster::Command Killable::run(const std::vector<std::string>& arguments, std::map<std::string, std::string> env,
                                   const std::string& kill) {
  for (const char* name : {"count.mv", "count.sync", "count.ln", "count.rm", "count.nginx", "reached"}) {
    fs::remove(points() / name);
  }
  std::ofstream(points() / "wanted") << kill << '\n';
  for (std::size_t server = 0; server < 2; ++server) {
    updates_[server] = 0;
    const std::string begin = "ns" + std::to_string(server + 1) + " ";
    kill_at_update_[server] = kill.starts_with(begin) ? static_cast<unsigned>(std::stoul(kill.substr(4))) : 0;
  }
  env["PATH"] = (points() / "bin").string() + ":" + std::getenv("PATH");
  env[mark_name] = cluster_.folder().string();
  return cluster_.k4t(arguments, env);
}

RealCluster::Command Killable::k4t(const std::vector<std::string>& arguments) {
  return cluster_.k4t(arguments, {{mark_name, cluster_.folder().string()}});
}

RealCluster::Command Killable::record(const std::vector<std::string>& arguments, std::vector<Moment>& moments) {
  const fs::path marks = points() / "marks";
  fs::remove(marks);
  const auto command = run(arguments, {{"K4T_STEPS_FILE", marks.string()}}, "");
  std::map<std::string, unsigned> times;
  std::istringstream own(Scratch::read(marks));
  for (std::string mark; std::getline(own, mark);) {
    const std::string name = without_chance(mark);
    moments.push_back("k4t " + std::to_string(++times[name]) + " " + name);
  }
  std::istringstream reached(Scratch::read(points() / "reached"));
  for (std::string moment; std::getline(reached, moment);) {
    if (++times[moment] == 1) moments.push_back(moment);
  }
  for (std::size_t server = 0; server < 2; ++server) {
    for (unsigned update = 1; update <= updates_[server]; ++update) {
      moments.push_back("ns" + std::to_string(server + 1) + " " + std::to_string(update) + " update");
    }
  }
  return command;
}

RealCluster::Command Killable::kill_at(const std::vector<std::string>& arguments, const Moment& moment) {
  std::map<std::string, std::string> env;
  if (moment.starts_with("k4t ")) {
    env["K4T_KILL_AT_STEP"] = moment.substr(4);
    return run(arguments, env, "");
  }
  return run(arguments, env, moment);
}

void Killable::settle() const {
  const std::string mark = std::string(mark_name) + "=" + cluster_.folder().string();
  const auto lives = [&mark] {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("/proc", none)) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") == std::string::npos && is_marked(entry.path(), mark)) return true;
    }
    return false;
  };
  // Looking at all processes is costly, and several worlds do it.
  constexpr int most_looks = 600;
  for (int look = 0; lives(); ++look) {
    if (look == most_looks) throw std::runtime_error("what a killed command left running does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace k4t::testing
