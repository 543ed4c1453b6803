#include "cli/render_txn.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "cli/console.hpp"
#include "cli/render.hpp"

namespace k4t::cli {
namespace {

using operation::Difference;
using operation::Log;
using operation::LogLine;
using operation::MemberDifference;
using operation::Shown;
using txn::Standing;

constexpr std::size_t shown_digits = 12;

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string indented(const std::vector<std::string>& lines, bool colours) {
  std::string text;
  for (const auto& line : lines) {
    const Style style = line.starts_with('+') ? Style::good : line.starts_with('-') ? Style::bad : Style::warning;
    text += "  " + styled(printable(line), style, colours) + '\n';
  }
  return text;
}

std::string decided_text(const LogLine& line) {
  if (!line.decided) return line.voters.empty() ? "no" : "not known";
  return line.decision ? utc_time(line.decision->at_s) : "yes";
}

std::string by_text(const LogLine& line) {
  if (!line.decision) return "-";
  if (line.decision->by.empty()) return "another run";
  std::string text = txn::describe_holder(line.decision->by);
  if (line.decision->operation > 0) text += ", operation " + std::to_string(line.decision->operation);
  return text;
}

std::string lagging_text(const LogLine& line) {
  std::vector<std::string> parts = line.lagging;
  for (const auto& who : line.unknown) parts.push_back(who + " (no answer)");
  return parts.empty() ? "-" : join(parts);
}

Json line_json(const LogLine& line) {
  Json json{{"version", line.version}, {"txn", line.txn},        {"base", line.base},
            {"decided", line.decided}, {"voters", line.voters},  {"served_by", line.served_by},
            {"lagging", line.lagging}, {"unknown", line.unknown}};
  if (line.decision) {
    json["decided_at_s"] = line.decision->at_s;
    json["by"] = line.decision->by;
    if (line.decision->operation > 0) json["operation"] = line.decision->operation;
  }
  return json;
}

std::string row_of(const std::string& name, const std::string& value) {
  return name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') + printable(value) + '\n';
}

}  // namespace

std::string utc_time(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm utc{};
  if (::gmtime_r(&time, &utc) == nullptr) return "?";
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text.data();
}

std::string render_log(const Log& log, bool colours) {
  Table table({"VERSION", "TXN", "DECIDED", "BY", "LAGS"});
  for (const auto& line : log.lines) {
    const bool behind = !line.lagging.empty() || !line.unknown.empty();
    table.add({std::to_string(line.version),
               line.txn.substr(0, shown_digits),
               {decided_text(line), line.decided ? Style::good : Style::warning},
               by_text(line),
               {lagging_text(line), behind ? Style::warning : Style::plain}});
  }
  std::string text = table.empty() ? "No version yet.\n" : table.render(colours);
  if (log.assessment.unfinished) {
    text += styled("warning: ", Style::warning, colours) +
            "a vote was cast whose outcome is not known; `k4t txn recover` finishes it\n";
  }
  if (!log.assessment.majority && log.assessment.best) {
    text +=
        styled("warning: ", Style::warning, colours) + "too few witnesses answer to know the latest version for sure\n";
  }
  return text;
}

Json log_json(const Log& log) {
  Json lines = Json::array();
  for (const auto& line : log.lines) lines.push_back(line_json(line));
  return Json{{"versions", lines}, {"majority", log.assessment.majority}, {"unfinished", log.assessment.unfinished}};
}

std::string render_shown(const Shown& shown, bool colours) {
  const auto& line = shown.line;
  const auto& state = shown.entry->state;
  std::vector<std::string> ids;
  for (const auto& witness : state.witnesses) ids.push_back(witness.id);
  std::vector<std::string> members;
  for (const auto& name : state.gateway_members) members.push_back("gateway " + name);
  for (const auto& name : state.dns_members) members.push_back("dns " + name);
  std::vector<std::string> holders;
  if (shown.kept_here) holders.emplace_back("this master");
  for (const auto& id : shown.holders) holders.push_back("witness " + id);
  for (const auto& name : shown.folders) holders.push_back("folder " + name);
  for (const auto& id : shown.silent) holders.push_back("witness " + id + "? (no answer)");
  for (const auto& name : shown.silent_folders) holders.push_back("folder " + name + "? (no answer)");
  std::string text = styled("Version " + std::to_string(line.version), Style::bold, colours) + '\n';
  text += row_of("txn", line.txn);
  text += row_of("base", line.base.empty() ? "none, it is the first" : line.base);
  text += row_of("decided", decided_text(line) + (line.decision ? ", by " + by_text(line) : std::string()));
  text += row_of("members", members.empty() ? "none" : join(members));
  text += row_of("witnesses", join(ids));
  text += row_of("record", holders.empty() ? "held by nobody who answers" : "held by " + join(holders));
  text += row_of("votes", line.voters.empty() ? "none now" : join(line.voters));
  text += row_of("served by", line.served_by.empty() ? "nobody" : join(line.served_by));
  if (state.forced && state.forced->version == line.version) text += render_forced(state, colours);
  text += styled("Changes to its base", Style::bold, colours) + '\n';
  if (shown.base_unknown) return text + "  not known: " + printable(shown.base_unknown->message) + '\n';
  return text + (shown.difference.empty() ? "  none\n" : indented(shown.difference, colours));
}

Json shown_json(const Shown& shown) {
  Json json = line_json(shown.line);
  json["state"] = shown.entry->state;
  json["holders"] = shown.holders;
  json["silent"] = shown.silent;
  json["folders"] = shown.folders;
  json["silent_folders"] = shown.silent_folders;
  json["kept_here"] = shown.kept_here;
  if (shown.base_unknown) {
    json["difference_unknown"] = shown.base_unknown->message;
  } else {
    json["difference"] = shown.difference;
  }
  return json;
}

namespace {

std::string render_member(const MemberDifference& one, const txn::EntryPtr& latest, bool colours) {
  const std::string who = styled(txn::to_string(one.member.who), Style::bold, colours) + ": ";
  std::string text;
  if (one.hand_edits) {
    text += who + styled("changed by hand", Style::warning, colours) + ": " + printable(*one.hand_edits) + '\n';
  }
  if (!one.unknown.empty())
    text += who + styled("not known", Style::bad, colours) + ": " + printable(one.unknown) + '\n';
  if (one.lines && !one.lines->empty()) {
    text += who + printable(txn::describe(one.member, latest.get())) + "; to the latest version:\n" +
            indented(*one.lines, colours);
  }
  if (text.empty()) text = who + styled("as decided", Style::good, colours) + '\n';
  return text;
}

}  // namespace

std::string render_difference(const Difference& difference, bool colours) {
  std::string text;
  if (!difference.sure) {
    text +=
        styled("warning: ", Style::warning, colours) + "too few witnesses answer to know the latest version for sure\n";
  }
  for (const auto& one : difference.members) text += render_member(one, difference.latest, colours);
  if (difference.wanted) {
    const std::string base =
        difference.latest == nullptr ? "" : " beyond version " + std::to_string(difference.latest->record.version);
    text += styled("Wanted by the files" + base, Style::bold, colours) + '\n';
    text += difference.wanted->empty() ? "  nothing more\n" : indented(*difference.wanted, colours);
  }
  for (const auto& problem : difference.problems) {
    text += styled("problem: ", Style::bad, colours) + printable(problem) + '\n';
  }
  if (difference.any()) return text + "There are differences.\n";
  return text +
         (difference.unknown() ? "Whether there is a difference is not known everywhere.\n" : "No difference.\n");
}

Json difference_json(const Difference& difference) {
  Json members = Json::array();
  for (const auto& one : difference.members) {
    Json json{{"group", one.member.who.group},
              {"name", one.member.who.name},
              {"standing", one.member.standing},
              {"says", txn::describe(one.member, difference.latest.get())}};
    if (one.lines) json["to_latest"] = *one.lines;
    if (!one.unknown.empty()) json["unknown"] = one.unknown;
    if (one.hand_edits) json["hand_edits"] = *one.hand_edits;
    members.push_back(json);
  }
  Json json{{"version", difference.latest == nullptr ? 0 : difference.latest->record.version},
            {"sure", difference.sure},
            {"differs", difference.any()},
            {"unknown", difference.unknown()},
            {"members", members},
            {"problems", difference.problems}};
  if (difference.wanted) json["wanted"] = *difference.wanted;
  return json;
}

namespace {

bool has(const std::vector<model::Witness>& all, const std::string& id) {
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
}

std::string role_of(const std::string& id, const txn::EntryPtr& latest) {
  if (latest == nullptr) return "to begin";
  if (has(latest->state.witnesses, id)) return "decides";
  const auto& former = latest->state.former_witnesses;
  return former && has(*former, id) ? "decided" : "retired";
}

}  // namespace

std::vector<WitnessRow> witness_rows(const model::Cluster& cluster, const txn::Assessment& assessment) {
  std::vector<WitnessRow> rows;
  const auto& latest = assessment.latest;
  std::vector<model::Witness> known = latest == nullptr ? std::vector<model::Witness>{} : latest->state.witnesses;
  for (const auto& one : assessment.witnesses) {
    WitnessRow row{one.at, role_of(one.at.id, latest), "answers", {}, {}, {}};
    if (!one.shown) {
      row.state = "silent";
      row.why = one.shown.error().message;
    } else if (!one.shown->has_value()) {
      row.state = "blank";
    } else {
      row.shown = **one.shown;
    }
    const auto* wish = operation::find_witness(cluster.witnesses, one.at.id);
    if (wish != nullptr) row.configured_as = wish->id;
    // A retired register under the plain id is not what the table stands for any more.
    if (wish != nullptr && row.role == "retired" && operation::find_witness(known, wish->id) != nullptr) {
      row.configured_as.clear();
    }
    rows.push_back(std::move(row));
  }
  if (latest == nullptr) return rows;
  for (const auto& wish : cluster.witnesses) {
    if (operation::find_witness(known, wish.id) != nullptr) continue;
    const auto asked = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.at.id == wish.id; });
    if (asked != rows.end()) rows.erase(asked);
    rows.push_back({wish, "wished", "not asked", {}, {}, wish.id});
  }
  return rows;
}

Table witness_table() { return Table({"WITNESS", "HOST", "FOLDER", "ROLE", "STATE", "PROMISED", "VOTE"}); }

Table::Row witness_cells(const WitnessRow& row) {
  const Style look = row.state == "answers" ? Style::good : row.state == "not asked" ? Style::plain : Style::bad;
  std::string promised = "-";
  std::string vote = "-";
  if (row.shown) {
    promised = std::to_string(row.shown->promised.counter) + " to " + txn::describe_holder(row.shown->holder) +
               (row.shown->open ? ", open" : "");
    if (row.shown->vote) vote = "version " + std::to_string(row.shown->vote->version);
  }
  return {row.at.id,
          row.at.host,
          row.at.dns ? "in DNS, by " + *row.at.dns : row.at.path,
          row.role,
          {row.why.empty() ? row.state : row.state + ": " + row.why, look},
          promised,
          vote};
}

std::string render_witnesses(const std::vector<WitnessRow>& rows, bool colours) {
  Table table = witness_table();
  for (const auto& row : rows) table.add(witness_cells(row));
  return table.render(colours);
}

Json witnesses_json(const std::vector<WitnessRow>& rows) {
  Json json = Json::array();
  for (const auto& row : rows) {
    Json one{{"id", row.at.id}, {"host", row.at.host}, {"path", row.at.path}, {"role", row.role}, {"state", row.state}};
    if (row.at.dns) one["dns"] = *row.at.dns;
    if (!row.why.empty()) one["why"] = row.why;
    if (!row.configured_as.empty()) one["configured_as"] = row.configured_as;
    if (row.shown) {
      one["promised"] = row.shown->promised;
      one["holder"] = row.shown->holder;
      one["open"] = row.shown->open;
      if (row.shown->vote) one["vote"] = *row.shown->vote;
    }
    json.push_back(one);
  }
  return json;
}

std::string render_forcing(const operation::Forcing& forcing, bool colours) {
  const auto& entry = *forcing.entry;
  const auto& forced = *entry.state.forced;
  std::string text =
      styled("A new history is to begin with version " + std::to_string(entry.record.version), Style::bold, colours) +
      ", with the state of version " + std::to_string(forcing.chosen->record.version) + ".\n";
  std::vector<std::string> ids;
  for (const auto& witness : entry.state.witnesses) ids.push_back(witness.id + " on " + model::place_of(witness));
  text += "Its witnesses: " + printable(join(ids)) + ".\n";
  text += forced.discarded.empty() ? "Nothing is known to be lost.\n" : "Given up for ever:\n";
  for (const auto& line : forced.discarded) text += "  " + styled(printable(line), Style::bad, colours) + '\n';
  std::vector<std::string> away;
  for (const auto& name : forced.diverged_gateways) away.push_back("gateway " + name);
  for (const auto& name : forced.diverged_dns) away.push_back("dns " + name);
  if (!away.empty()) {
    text += "Do not answer, and come back only by `k4t sync --overwrite NAME`: " + printable(join(away)) + ".\n";
  }
  return text;
}

std::string render_forced(const model::State& state, bool colours) {
  if (!state.forced) return {};
  const auto& forced = *state.forced;
  std::string text = styled("warning: ", Style::warning, colours) + "version " + std::to_string(forced.version) +
                     " was forced by " + printable(txn::describe_holder(forced.by)) + ": " + printable(forced.why) +
                     '\n';
  for (const auto& line : forced.discarded) text += "  given up: " + printable(line) + '\n';
  for (const auto& name : forced.diverged_gateways) text += "  off the chain since: gateway " + printable(name) + '\n';
  for (const auto& name : forced.diverged_dns) text += "  off the chain since: dns " + printable(name) + '\n';
  if (!forced.acknowledged) text += "  `k4t txn acknowledge` says that this was read\n";
  return text;
}

}  // namespace k4t::cli
