#include <gtest/gtest.h>

#include "samples.hpp"

namespace k4t::config::testing {
namespace {

struct Case {
  std::string from;  ///< what is replaced in the small cluster
  std::string to;
  std::string expected;  ///< brief()
};

void expect_diagnostics(const std::vector<Case>& cases) {
  for (const auto& each : cases) {
    const auto loaded = parse_cluster_text(replaced(small_cluster(), each.from, each.to));
    EXPECT_EQ(brief(loaded.diagnostics), each.expected) << "with " << each.to;
    EXPECT_EQ(loaded.ok(), !has_errors(loaded.diagnostics));
  }
}

const std::string last_line = "address = \"192.0.2.31\"\n";

TEST(ClusterFileTest, DefaultsFillWhatIsNotSaid) {
  const auto loaded = parse_cluster_text(small_cluster());
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(brief(loaded.diagnostics), "");
  const auto& cluster = *loaded.value;
  EXPECT_EQ(cluster.name, "demo");
  EXPECT_EQ(cluster.domain, "apps.example.net");
  EXPECT_EQ(cluster.state_folder, "/var/lib/k4t");
  EXPECT_EQ(cluster.plugin_folders, std::vector<std::string>{"/usr/lib/k4t/plugins"});
  EXPECT_EQ(cluster.gateway_availability, model::Availability::one);
  EXPECT_EQ(cluster.dns_ttl_s, 5u);
  EXPECT_EQ(cluster.removal_limit_percent, 50u);
  ASSERT_EQ(cluster.nodes.size(), 1u);
  EXPECT_EQ(cluster.nodes[0].first_port, 20000);
  EXPECT_EQ(cluster.nodes[0].last_port, 29999);
  EXPECT_FALSE(cluster.nodes[0].cpu_millis);
  EXPECT_EQ(cluster.nodes[0].options, Json::object());
  ASSERT_EQ(cluster.witnesses.size(), 1u);
  EXPECT_EQ(cluster.witnesses[0], (model::Witness{"local", "local", "/var/lib/k4t/witness"}));
}

TEST(ClusterFileTest, EveryKeyReachesTheModel) {
  const auto loaded = parse_cluster_text(R"(
[cluster]
name = "demo"
domain = "Apps.Example.Net."
state = "state"
dns_ttl = "1m"
removal_limit = "10%"
availability = {gateways = "all", dns = "all"}
[plugins]
folders = ["plugins", "/opt/plugins/../more"]
[ssh]
identity = ["keys/id_ed25519", "/root/.ssh/id_rsa"]
passphrase_file = "keys/passphrase"
known_hosts = "known_hosts"
jump = "ssh://k4t@192.0.2.99"
connect_timeout = "3s"
keep_alive = "500ms"
[[node]]
name = "n1"
driver = "docker"
address = "2001:DB8::0011"
ports = "30000-30010"
public_address = "203.0.113.7"
public_ports = "40000-40010"
labels = {zone = "a"}
cpu = "3500m"
memory = "1.5GiB"
options = {host = "${HOME}", list = [1, 2.5, true], when = 2020-01-02}
[[dns]]
name = "d1"
driver = "bind"
address = "192.0.2.31"
[[witness]]
id = "w1"
path = "w"
[[witness]]
id = "w2"
host = "ssh://k4t@192.0.2.21:22"
path = "/srv/w/"
)");
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  const auto& cluster = *loaded.value;
  EXPECT_EQ(cluster.domain, "apps.example.net");
  EXPECT_EQ(cluster.state_folder, "/etc/k4t/state");
  EXPECT_EQ(cluster.plugin_folders, (std::vector<std::string>{"/etc/k4t/plugins", "/opt/more"}));
  EXPECT_EQ(cluster.gateway_availability, model::Availability::all);
  EXPECT_EQ(cluster.dns_availability, model::Availability::all);
  EXPECT_EQ(cluster.dns_ttl_s, 60u);
  EXPECT_EQ(cluster.removal_limit_percent, 10u);
  const auto& node = cluster.nodes.at(0);
  EXPECT_EQ(node.address, "2001:db8::11");
  EXPECT_EQ(node.first_port, 30000);
  EXPECT_EQ(node.last_port, 30010);
  EXPECT_EQ(node.public_address, "203.0.113.7");
  EXPECT_EQ(node.public_port(30003), 40003);
  EXPECT_EQ(node.inner_port(40010), 30010);
  EXPECT_EQ(node.inner_port(40011), 40011) << "leads nowhere";
  EXPECT_EQ(node.labels, (std::map<std::string, std::string>{{"zone", "a"}}));
  EXPECT_EQ(node.cpu_millis, 3500u);
  EXPECT_EQ(node.memory_bytes, 1610612736u);
  // Literally: nothing is expanded.
  EXPECT_EQ(node.options, Json::parse(R"({"host": "${HOME}", "list": [1, 2.5, true], "when": "2020-01-02"})"));
  EXPECT_TRUE(cluster.gateways.empty());
  EXPECT_EQ(cluster.witnesses.at(0), (model::Witness{"w1", "local", "/etc/k4t/w"}));
  EXPECT_EQ(cluster.witnesses.at(1), (model::Witness{"w2", "ssh://k4t@192.0.2.21:22", "/srv/w/"}));
  const transport::SshOptions ssh{{"/etc/k4t/keys/id_ed25519", "/root/.ssh/id_rsa"},
                                  "/etc/k4t/keys/passphrase",
                                  "/etc/k4t/known_hosts",
                                  "ssh://k4t@192.0.2.99",
                                  3000,
                                  500};
  EXPECT_TRUE(cluster.ssh == ssh);
}

TEST(ClusterFileTest, WrongKeysAndTypesAreNamedWithTheirPlaceAndRemedy) {
  expect_diagnostics({
      {"domain =", "domian = 1\ndomain =", "3:1 020 unknown key \"domian\" in [cluster] | did you mean 'domain'?\n"},
      {"[cluster]\nname = \"demo\"\n", "[cluster]\n",
       "1:1 021 [cluster] has no 'name' | add 'name', 1 to 20 lower-case letters, digits and '-'\n"},
      {"\"demo\"", "7", "2:8 022 'name' is a whole number | write 1 to 20 lower-case letters, digits and '-'\n"},
      {"[[node]]", "[node]", "4:1 022 'node' is a table | write one [[node]] table each\n"},
      {"[cluster]", "[[cluster]]", "1:1 022 'cluster' is a list | write a table [cluster]\n"},
      {"address = \"192.0.2.31\"", "address = 2020-01-01",
       "15:11 022 'address' is a date or time | write the IPv4 or IPv6 address of one machine\n"},
      {last_line, last_line + "options = 1\n", "16:11 022 'options' is a whole number | write a table\n"},
      {last_line, last_line + "[monitoring]\n",
       "16:2 020 unknown key \"monitoring\" in k4t.toml | the keys here are: cluster, master, plugins, ssh, node, "
       "gateway, "
       "dns, "
       "witness, record, backup\n"},
      {"[[node]]", "[[nod]]",
       "1:1 021 k4t.toml has no 'node' | add 'node', one [[node]] table each\n"
       "4:3 020 unknown key \"nod\" in k4t.toml | did you mean 'node'?\n"},
      {last_line, last_line + "[plugins]\nfolders = []\n", "17:11 028 'folders' has 0 items | write 1 to 16 of them\n"},
  });
}

TEST(ClusterFileTest, ImpossibleValuesAreRefused) {
  const std::string domain =
      "write a domain name such as \"apps.example.net\" of at most 190 characters, international names as xn--…\n";
  expect_diagnostics({
      {"apps.example.net", "apps..net", "3:10 023 'domain' is \"apps..net\": it has an empty label | " + domain},
      {"apps.example.net", "_k4t.net",
       "3:10 024 'domain' is \"_k4t.net\": names that begin with '_k4t' are k4t's own | " + domain},
      {"\"demo\"", "\"a\\u0000b\"",
       "2:8 025 'name' is \"a\\u0000b\", which has a control character | write it on one line, without tabs and other "
       "control characters\n"},
      {"\"demo\"", "\"a\\nb\"",
       "2:8 025 'name' is \"a\\nb\", which has a control character | write it on one line, without tabs and other "
       "control characters\n"},
      {"[[node]]", "dns_ttl = \"1500ms\"\n[[node]]",
       "4:11 023 'dns_ttl' is \"1500ms\": not a whole number of seconds | write a duration from 0s to 24h in whole "
       "seconds, such as \"10s\"\n"},
      {"[[node]]", "dns_ttl = \"25h\"\n[[node]]",
       "4:11 023 'dns_ttl' is \"25h\": out of range | write a duration from 0s to 24h in whole seconds, such as "
       "\"10s\"\n"},
      {"[[node]]", "state = \"~/k4t\"\n[[node]]",
       "4:9 023 'state' is \"~/k4t\": '~' is not expanded | write a path; a relative one begins at this file's "
       "folder\n"},
      {"[[node]]", "[cluster.availability]\ndns = \"al\"\n[[node]]", "5:7 023 'dns' is \"al\" | did you mean 'all'?\n"},
      {"[[gateway]]", "ports = \"2-1\"\n[[gateway]]",
       "8:9 023 'ports' is \"2-1\": the first port is greater than the last | write two ports such as "
       "\"20000-29999\"\n"},
      {"[[gateway]]", "memory = \"1KiB\"\n[[gateway]]",
       "8:10 023 'memory' is \"1KiB\": less than 1 MiB | write a size such as \"64MiB\" or \"1.5GiB\"\n"},
      {"[[gateway]]", "cpu = 0\n[[gateway]]",
       "8:7 023 'cpu' is 0: it is zero | write cores such as 0.5 or thousandths such as \"500m\"\n"},
      {"[[gateway]]", "cpu = nan\n[[gateway]]",
       "8:7 023 'cpu' is not finite: it is neither cores with at most 3 decimals nor thousandths such as 500m | write "
       "cores "
       "such as 0.5 or thousandths such as \"500m\"\n"},
      {"[[gateway]]", "labels = {\"k4t.x\" = \"1\", zone = 2}\n[[gateway]]",
       "8:11 024 \"k4t.x\" cannot be a label: labels that begin with 'k4t.' are k4t's own | choose another name\n"
       "8:33 022 'zone' is a whole number | write text of at most 255 bytes\n"},
      {last_line, last_line + "options = {a = inf, b = \"\\u0001\"}\n",
       "16:16 023 'a' is not a finite number | write a finite number\n"
       "16:25 025 'b' is \"\\u0001\", which has a control character | remove control characters other than newline and "
       "tab\n"},
  });
}

TEST(ClusterFileTest, NamesAndPlacesMayNotBeUsedTwice) {
  const std::string second_node = "[[node]]\nname = \"n2\"\ndriver = \"docker\"\naddress = \"192.0.2.11\"\n";
  expect_diagnostics({
      {last_line, last_line + "[[dns]]\nname = \"d1\"\ndriver = \"bind\"\naddress = \"192.0.2.32\"\n",
       "17:8 030 dns \"d1\" is already declared at line 13, column 8 | give each its own 'name'\n"},
      {last_line, last_line + second_node,
       "16:1 034 node \"n2\" has the address of node \"n1\" and some of its ports | give each its own address, or "
       "'ports' that do not overlap\n"},
      {last_line, last_line + second_node + "ports = \"29999-30010\"\n",
       "20:9 034 node \"n2\" has the address of node \"n1\" and some of its ports | give each its own address, or "
       "'ports' that do not overlap\n"},
      {last_line, last_line + second_node + "ports = \"30000-30010\"\n", ""},
      {last_line, last_line + "[[gateway]]\nname = \"g2\"\ndriver = \"haproxy\"\naddress = \"192.0.2.21\"\n",
       "?19:11 035 gateway \"g2\" has the address of gateway \"g1\", so both cannot listen | give each its own "
       "address\n"},
      {last_line, last_line + "[[witness]]\nid = \"a\"\npath = \"/w\"\n[[witness]]\nid = \"b\"\npath = \"/x/../w\"\n",
       "21:8 035 witness \"b\" has the folder of witness \"a\" | give each its own folder, on a machine of its own\n"},
      {last_line,
       last_line +
           "[[witness]]\nid = \"a\"\npath = \"/w\"\nhost = \"ssh://192.0.2.1\"\n[[witness]]\nid = \"b\"\npath = "
           "\"/w\"\nhost = \"ssh://root@192.0.2.1:22\"\n",
       "22:8 035 witness \"b\" has the folder of witness \"a\" | give each its own folder, on a machine of its own\n"},
      {last_line, last_line + "[ssh]\njump = \"local\"\n",
       "17:8 023 'jump' is \"local\": it is this machine | write \"ssh://[user@]host[:port]\"\n"},
      {last_line, last_line + "[[witness]]\nid = \"a\"\npath = \"w\"\nhost = \"ssh://192.0.2.1\"\n",
       "18:8 023 'path' is \"w\": relative, on another machine | write the absolute path\n"},
  });
}

TEST(ClusterFileTest, CopiesAreKeptWhereTheyCanBePut) {
  const std::string node =
      "[[node]]\nname = \"n2\"\ndriver = \"docker\"\naddress = \"192.0.2.12\"\noptions.host = "
      "\"ssh://k4t@192.0.2.12\"\n";
  expect_diagnostics({
      {last_line,
       last_line + node + "[[backup]]\nnode = \"n2\"\nevery = \"90s\"\n[[backup]]\nhost = \"local\"\npath = \"c\"\n",
       ""},
      {last_line, last_line + node + "[[backup]]\nnode = \"n3\"\n",
       "22:8 031 there is no [[node]] \"n3\" | did you mean 'n1'?\n"},
      {last_line, last_line + node + "[[backup]]\nevery = \"5m\"\n",
       "21:1 021 [[backup]] has neither 'node' nor 'host' | say where copies are kept: the name of a [[node]], or a "
       "machine such as \"ssh://192.0.2.11\"\n"},
      {last_line, last_line + node + "[[backup]]\nnode = \"n2\"\nhost = \"ssh://192.0.2.1\"\n",
       "21:1 027 'node' and 'host' exclude each other | say where copies are kept: the name of a [[node]], or a "
       "machine such as \"ssh://192.0.2.11\"\n"},
      {last_line, last_line + node + "[[backup]]\nnode = \"n2\"\n[[backup]]\nhost = \"ssh://root@192.0.2.12:22\"\n",
       "23:1 035 copies on \"ssh://root@192.0.2.12:22\" go to the folder of those on \"n2\" | give each a 'path' of "
       "its own, or remove one\n"},
      {last_line, last_line + node + "[[backup]]\nnode = \"n2\"\npath = \"c\"\n",
       "23:8 023 'path' is \"c\": relative, on another machine | write the absolute path\n"},
      {last_line, last_line + node + "[[backup]]\nnode = \"n2\"\nevery = \"5s\"\n",
       "23:9 023 'every' is \"5s\": out of range | write a duration from 1m to 168h in whole seconds, such as "
       "\"10s\"\n"},
      {last_line, last_line + "[cluster.backup]\nkey_file = \"k\"\npassphrase_file = \"p\"\n",
       "18:1 027 'passphrase_file' and 'key_file' exclude each other | remove one of them\n"},
      {last_line, last_line + "[cluster.backup]\nkey_file = \"k\"\nencrypt = false\n",
       "17:1 027 a key, and 'encrypt' is false | remove one of them\n"},
  });
  const auto loaded = parse_cluster_text(
      replaced(small_cluster(), last_line,
               last_line + node + "[cluster.backup]\npassphrase_file = \"p\"\n[[backup]]\nnode = \"n2\"\nkeep = 7\n"));
  ASSERT_TRUE(loaded.ok());
  const auto& place = loaded.value->backups.at(0);
  EXPECT_EQ(place.title(), "n2");
  EXPECT_EQ(place.host, "ssh://k4t@192.0.2.12");
  EXPECT_EQ(place.keep, 7U);
  EXPECT_EQ(loaded.value->backup_key.key_file, "");
  EXPECT_TRUE(loaded.value->backup_key.passphrase_file.ends_with("/p"));
}

TEST(ClusterFileTest, HowInstancesAreReachedMustFitTogether) {
  const std::string node = "[[node]]\nname = \"n2\"\ndriver = \"docker\"\naddress = \"192.0.2.12\"\n";
  const std::string third = "[[node]]\nname = \"n3\"\ndriver = \"docker\"\naddress = \"192.0.2.13\"\n";
  const std::string subnet = "subnet = \"2001:db8:1::/64\"\n";
  const std::string address = "public_address = \"203.0.113.7\"\n";
  expect_diagnostics({
      {last_line, last_line + node + subnet, ""},
      {last_line, last_line + node + address + "ports = \"20000-20009\"\npublic_ports = \"30000-30009\"\n", ""},
      {last_line, last_line + node + "subnet = \"2001:db8:1::1/64\"\n",
       "20:10 023 'subnet' is \"2001:db8:1::1/64\": it has bits behind its prefix: it is an address, not a block's "
       "beginning | write a block of addresses such as \"2001:db8:1::/64\"\n"},
      {last_line, last_line + node + subnet + third + "subnet = \"2001:db8:1::/80\"\n",
       "25:10 036 node \"n3\" has addresses of node \"n2\"'s subnet | give each node a block of its own\n"},
      {last_line, last_line + node + subnet + address,
       "21:1 027 'subnet' and 'public_address' exclude each other | remove one of them: instances have addresses of "
       "their own, or are reached at the node's\n"},
      {last_line, last_line + node + "public_ports = \"30000-39999\"\n",
       "20:1 021 'public_ports' without 'public_address' | add the address whose ports they are\n"},
      {last_line, last_line + node + address + "public_ports = \"30000-30009\"\n",
       "21:16 023 'public_ports' are 10 and 'ports' are 10000 | give as many: each leads to one of the node's\n"},
  });
  const std::string reach = replaced(small_cluster(), "domain =", "reach = \"gateways\"\ndomain =");
  const std::string gateway = "[[gateway]]\nname = \"g1\"\ndriver = \"nginx\"\naddress = \"192.0.2.21\"\n";
  EXPECT_EQ(
      brief(parse_cluster_text(replaced(reach, gateway, "")).diagnostics),
      "3:9 031 'reach' is \"gateways\", and there are none | add a [[gateway]], or write reach = \"instances\"\n");
  const auto loaded = parse_cluster_text(reach);
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(loaded.value->reach, model::Reach::gateways);
}

TEST(ClusterFileTest, AWitnessIsAFolderOrARecordOnADeclaredDnsServer) {
  const std::string second = "[[dns]]\nname = \"d2\"\ndriver = \"bind\"\naddress = \"192.0.2.31\"\n";
  const std::string both = "[[witness]]\nid = \"a\"\ndns = \"d1\"\n[[witness]]\nid = \"b\"\n";
  expect_diagnostics({
      {last_line, last_line + "[[witness]]\nid = \"a\"\ndns = \"d1\"\n", ""},
      {last_line, last_line + "[[witness]]\nid = \"a\"\n",
       "16:1 021 [[witness]] has neither 'path' nor 'dns' | add 'path', a folder on a machine, or 'dns', the name of a "
       "[[dns]] server\n"},
      {last_line, last_line + "[[witness]]\nid = \"a\"\ndns = \"d1\"\npath = \"/w\"\n",
       "19:1 027 'dns' and 'path' exclude each other | remove one of them: a witness is a folder or a record on a DNS "
       "server\n"},
      {last_line, last_line + "[[witness]]\nid = \"a\"\ndns = \"d1\"\nhost = \"ssh://h1\"\n",
       "19:1 027 'dns' and 'host' exclude each other | remove one of them: a witness is a folder or a record on a DNS "
       "server\n"},
      {last_line, last_line + "[[witness]]\nid = \"a\"\ndns = \"d2\"\n",
       "18:7 031 there is no [[dns]] server \"d2\" | did you mean 'd1'?\n"},
      {last_line, last_line + both + "dns = \"d1\"\n",
       "21:7 035 witness \"b\" has the DNS server of witness \"a\" | a DNS server can be one witness: name another "
       "one\n"},
      {last_line, last_line + second + both + "dns = \"d2\"\n",
       "25:7 035 witness \"b\" has the DNS server of witness \"a\" | a DNS server can be one witness: name another "
       "one\n"},
      {last_line, last_line + second + "options.port = 5353\n" + both + "dns = \"d2\"\n", ""},
      {last_line, last_line + "[[record]]\nhost = \"ssh://192.0.2.1\"\npath = \"r\"\n",
       "18:8 023 'path' is \"r\": relative, on another machine | write the absolute path\n"},
      {"name = \"d1\"", "nam = \"d1\"\n[[witness]]\nid = \"a\"\ndns = \"d1\"\n[[dns]]\nname = \"d3\"",
       "12:1 021 [[dns]] has no 'name' | add 'name', 1 to 40 lower-case letters, digits and '-'\n"
       "12:1 021 [[dns]] has no 'driver' | add 'driver', 1 to 40 lower-case letters, digits and '-'\n"
       "12:1 021 [[dns]] has no 'address' | add 'address', the IPv4 or IPv6 address of one machine\n"
       "13:1 020 unknown key \"nam\" in [[dns]] | did you mean 'name'?\n"},
  });
  const auto loaded = parse_cluster_text(small_cluster() + "[[witness]]\nid = \"a\"\ndns = \"d1\"\n" +
                                         "[[record]]\nhost = \"ssh://h1\"\npath = \"/r\"\n");
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(loaded.value->witnesses.at(0), (model::Witness{"a", "192.0.2.31", "", "d1"}));
  EXPECT_EQ(loaded.value->records.at(0), (model::RecordFolder{"ssh://h1", "/r"}));
}

TEST(ClusterFileTest, ADriverThatCannotHoldARegisterIsNamedAtItsPlace) {
  const auto loaded = parse_cluster_text(small_cluster() + "[[witness]]\nid = \"a\"\ndns = \"d1\"\n");
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(brief({cannot_witness(loaded.origins, loaded.value->witnesses.at(0), "bind")}),
            "18:7 042 driver \"bind\" of DNS server \"d1\" cannot hold a witness's register | name a server whose "
            "driver has the capability 'witness', or a folder with 'path'\n");
}

TEST(ClusterFileTest, AllErrorsAreReportedInOneRunInTheOrderOfTheirPlaces) {
  const auto loaded = parse_cluster_text(R"([cluster]
name = "Demo"
[[node]]
name = "n1"
drivers = "docker"
address = "localhost"
)");
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(
      brief(loaded.diagnostics),
      "1:1 021 [cluster] has no 'domain' | add 'domain', a domain name such as \"apps.example.net\" of at most 190 "
      "characters, international names as xn--…\n"
      "1:1 021 k4t.toml has no 'dns' | add 'dns', one [[dns]] table each\n"
      "2:8 023 'name' is \"Demo\": only lower-case letters, digits and '-' are allowed | write 1 to 20 lower-case "
      "letters, digits and '-'\n"
      "3:1 021 [[node]] has no 'driver' | add 'driver', 1 to 40 lower-case letters, digits and '-'\n"
      "5:1 020 unknown key \"drivers\" in [[node]] | did you mean 'driver'?\n"
      "6:11 023 'address' is \"localhost\": not an IPv4 or IPv6 address | write the IPv4 or IPv6 address of one "
      "machine\n");
}

TEST(ClusterFileTest, SyntaxErrorsHaveTheirPlace) {
  EXPECT_EQ(brief(parse_cluster_text("[cluster]\nname = \"a\nb\"\n").diagnostics).substr(0, 18), "2:10 010 not TOML:");
  for (const char* text :
       {"[=\n", "[", "[[", "[[a", "[a.\n", "a", "a.", "a =", "a = \"", "a = {", "a = [", "=", "\xff", "[\xff"}) {
    const auto loaded = parse_cluster_text(text);
    ASSERT_EQ(loaded.diagnostics.size(), 1u) << text;
    EXPECT_EQ(loaded.diagnostics[0].line, 1) << text;
    EXPECT_GE(loaded.diagnostics[0].column, 1) << text;
  }
  EXPECT_EQ(brief(parse_cluster_text("a = 1\na = 2\n").diagnostics),
            "2:5 012 key-value pair: cannot redefine existing integer 'a' | keep one of the two definitions\n");
  EXPECT_EQ(brief(parse_cluster_text("[a]\n[a]\n").diagnostics),
            "2:1 012 table header: cannot redefine existing table 'a' | keep one of the two definitions\n");
  EXPECT_EQ(brief(parse_cluster_text("a = \"\xff\"\n").diagnostics),
            "1:5 006 the file is not UTF-8 text | save it as UTF-8\n");
}

TEST(ClusterFileTest, NestingIsBounded) {
  std::string keys = "a";
  for (int i = 0; i < 100'000; ++i) keys += ".a";
  EXPECT_EQ(brief(parse_cluster_text(keys + " = 1\n").diagnostics),
            "1:32 011 a key has more than 16 parts | use fewer levels\n");
  EXPECT_EQ(brief(parse_cluster_text("x = '''\n'''\n[" + keys + "]\n").diagnostics),
            "3:33 011 a key has more than 16 parts | use fewer levels\n");
  const std::string brackets(100'000, '[');
  EXPECT_EQ(brief(parse_cluster_text("a = " + brackets + "\n").diagnostics),
            "1:37 011 values are nested too deeply | use fewer levels\n");
  // Dots in strings, comments and numbers are no nesting.
  const std::string dots = "1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5";
  const auto loaded = parse_cluster_text(
      replaced(small_cluster(), last_line,
               last_line + "options = {l = [" + dots +
                   "], s = \"........\\\"..........\", t = '...................'} # ....................\n"));
  EXPECT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
}

TEST(NodeWords, AreReadAsInANodeTable) {
  NodeWords words;
  words.keys = {{"name", "n3"},           {"driver", "docker"}, {"address", "192.0.2.3"},
                {"ports", "21000-21999"}, {"cpu", "1.5"},       {"memory", "2GiB"}};
  words.labels = {{"zone", "a"}};
  words.options = {{"host", "ssh://n3"}};
  const auto node = read_node(words);
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(node->name, "n3");
  EXPECT_EQ(node->first_port, 21000);
  EXPECT_EQ(node->last_port, 21999);
  EXPECT_EQ(node->cpu_millis, 1500U);
  EXPECT_EQ(node->memory_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(node->labels.at("zone"), "a");
  EXPECT_EQ(node->options.at("host"), "ssh://n3");
}

TEST(NodeWords, ThatAreWrongAreNamedWithTheRemedy) {
  NodeWords words;
  words.keys = {{"name", "N 3"}, {"driver", "docker"}, {"address", "192.0.2.3"}};
  const auto node = read_node(words);
  ASSERT_FALSE(node);
  EXPECT_EQ(node.status(), Status::invalid_argument);
  EXPECT_NE(node.error().message.find("'name' is \"N 3\""), std::string::npos) << node.error().message;
  words.keys["name"] = "n3";
  words.keys.erase("address");
  EXPECT_NE(read_node(words).error().message.find("'address'"), std::string::npos);
}

}  // namespace
}  // namespace k4t::config::testing
