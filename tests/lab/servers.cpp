#include "lab/servers.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <stdexcept>

#include "support/docker_engine.hpp"

namespace k4t::testing::lab {
namespace {

namespace fs = std::filesystem;

bool listens(const Machine& machine, unsigned port) {
  const auto ran = machine.run({"ss", "-Htln", "sport = :" + std::to_string(port)});
  return ran.exit_code == 0 && !ran.out.empty();
}

bool answers_for(const Machine& machine, const std::string& zone) {
  return !machine.run({"dig", "@127.0.0.1", "+short", "+tries=1", "+time=1", zone, "SOA"}).out.empty();
}

void make_key(const std::string& file, const std::string& comment) {
  if (fs::exists(file)) return;
  check(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file}), "ssh-keygen");
}

/// A user whom only a key lets in, and who may keep a witness there. Root is there already.
void make_user(Machine& machine, const std::string& user) {
  if (user != "root") machine.must({"useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", user});
  machine.must({"install", "-d", "-o", user, "/var/lib/k4t"});
}

/// The two commands of root that the driver needs, and a program that runs nginx by them.
void permit_nginx(Machine& machine, const std::string& user) {
  machine.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " + machine.name() + "\n");  // sudo asks for its name
  machine.write("/etc/sudoers.d/k4t",
                user + " ALL=(root) NOPASSWD: /usr/sbin/nginx -t -q -c /etc/nginx/k4t-check.conf\n" + user +
                    " ALL=(root) NOPASSWD: /usr/sbin/nginx -s reload -c /etc/nginx/nginx.conf\n",
                0440);
  machine.write("/usr/local/bin/k4t-nginx", "#!/bin/sh\nexec sudo -n /usr/sbin/nginx \"$@\"\n", 0755);
  machine.must({"install", "-d", "-o", user, "/etc/nginx/k4t"});
  machine.must({"install", "-o", user, "-m", "644", "/dev/null", "/etc/nginx/k4t-check.conf"});
}

}  // namespace

Keys::Keys(const Lab& lab) : folder_(lab.folder()) {
  make_key(identity(), "lab");
  std::ofstream(known_hosts(), std::ios::app).flush();
}

void Keys::run_sshd(Machine& machine) const {
  const std::string host_key = (folder_ / (machine.name() + "_host_key")).string();
  make_key(host_key, machine.name());
  for (const std::string& address : {machine.address(), machine.address6(), machine.name()}) {
    std::ofstream(known_hosts(), std::ios::app) << address << " " << Scratch::read(host_key + ".pub");
  }
  machine.write("/etc/ssh/lab_keys", Scratch::read(identity() + ".pub"));
  machine.write("/etc/ssh/lab.conf",
                "HostKey " + host_key +
                    "\nAuthorizedKeysFile /etc/ssh/lab_keys\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin "
                    "prohibit-password\n"
                    "PasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n");
  machine.serve("sshd", {"/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/lab.conf"},
                [&machine] { return listens(machine, 22); });
}

fs::path docker_socket(const Machine& machine) { return machine.at("/run/docker.sock"); }

void run_docker(Machine& machine) {
  machine.write("/etc/docker/daemon.json", "{}");
  machine.serve("dockerd",
                {"dockerd", "--storage-driver", "overlay2", "--cgroup-parent", machine.cgroup(), "--exec-opt",
                 "native.cgroupdriver=cgroupfs"},
                [&machine] { return engine_answers(docker_socket(machine)); });
}

void add_docker_network(Machine& machine, const std::string& name, const std::string& block) {
  machine.must({"docker", "network", "create", "--ipv6", "--subnet", block, name});
  machine.must({"sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"});
}

std::string run_registry(Machine& machine, const Authority& authority, const std::string& users) {
  const auto made = authority.issue({.name = machine.name(), .alt = {"IP:" + machine.address()}});
  machine.write("/etc/docker/registry/cert.pem", Scratch::read(made.certificate));
  machine.write("/etc/docker/registry/key.pem", Scratch::read(made.key), 0600);
  machine.write("/etc/docker/registry/users", users, 0600);
  machine.write("/etc/docker/registry/config.yml",
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/docker-registry\n"
                "http:\n  addr: :5000\n  tls:\n    certificate: /etc/docker/registry/cert.pem\n"
                "    key: /etc/docker/registry/key.pem\n"
                "auth:\n  htpasswd:\n    realm: lab\n    path: /etc/docker/registry/users\n");
  machine.serve("docker-registry", {"docker-registry", "serve", "/etc/docker/registry/config.yml"},
                [&machine] { return listens(machine, 5000); });
  return machine.address() + ":5000";
}

void trust_registry(const Machine& node, const std::string& registry, const Authority& authority) {
  node.write("/etc/docker/certs.d/" + registry + "/ca.crt", Scratch::read(authority.certificate()));
}

void distrust_registry(const Machine& node, const std::string& registry) {
  fs::remove(node.at("/etc/docker/certs.d/" + registry + "/ca.crt"));
}

void run_nginx(Machine& machine, const std::string& user) {
  make_user(machine, user);
  if (user != "root") permit_nginx(machine, user);
  machine.write(
      "/etc/nginx/nginx.conf",
      "user www-data;\nworker_processes 2;\npid /run/nginx.pid;\ndaemon off;\n"
      "error_log /var/log/nginx/error.log notice;\ninclude /etc/nginx/modules-enabled/*.conf;\n"
      "events { worker_connections 4096; }\nhttp {\n  access_log off;\n"
      "  include /etc/nginx/k4t/live/http*.conf;\n}\nstream {\n  include /etc/nginx/k4t/live/stream*.conf;\n}\n");
  machine.serve("nginx", {"nginx"}, [&machine] {
    return machine.run({"sh", "-c", "pid=$(cat /run/nginx.pid) && ls /proc/$pid/task/$pid/children"}).exit_code == 0;
  });
}

void run_haproxy(Machine& machine, const std::string& user) {
  make_user(machine, user);
  machine.write("/etc/haproxy/haproxy.cfg",
                "global\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n"
                "  timeout server 30s\n");
  machine.must({"install", "-d", "-o", user, "/etc/haproxy/k4t"});
  machine.must({"install", "-o", user, "-m", "644", "/dev/null", "/etc/haproxy/k4t/k4t.cfg"});
  machine.serve("haproxy",
                {"haproxy", "-W", "-S", "/run/haproxy-master.sock,mode,660,group," + user, "-f",
                 "/etc/haproxy/haproxy.cfg", "-f", "/etc/haproxy/k4t/k4t.cfg"},
                [&machine] { return fs::exists(machine.at("/run/haproxy-master.sock")); });
}

void make_bind_key(const fs::path& file) {
  const auto made = run({find_program("tsig-keygen"), "-a", "hmac-sha256", "k4t"});
  check(made, "tsig-keygen");
  std::ofstream(file) << made.out;
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

void run_bind(Machine& machine, const std::string& zone, const fs::path& key_file) {
  const bool ipv4 = machine.address() != machine.address6();
  machine.write("/var/lib/bind/zone.db", "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns AAAA " +
                                             machine.address6() + "\n" +
                                             (ipv4 ? "ns A " + machine.address() + "\n" : std::string()));
  machine.write(
      "/etc/bind/lab.conf",
      "include \"" + key_file.string() +
          "\";\ncontrols {};\noptions {\n  directory \"/var/cache/bind\"; pid-file none; session-keyfile none;\n"
          "  listen-on { any; }; listen-on-v6 { any; };\n  recursion no; notify no; dnssec-validation no;\n"
          "  empty-zones-enable no;\n};\nzone \"" +
          zone +
          "\" {\n  type primary; file \"/var/lib/bind/zone.db\";\n  update-policy { grant k4t zonesub ANY; };\n"
          "  allow-transfer { key k4t; };\n};\n");
  machine.serve("named", {"named", "-g", "-n", "1", "-U", "1", "-c", "/etc/bind/lab.conf"},
                [&machine, zone] { return answers_for(machine, zone); });
}

void run_samba(Machine& machine, const std::string& zone, const fs::path& keytab_file) {
  constexpr auto provision_time = std::chrono::minutes(2);  // about ten seconds on an idle machine
  fs::remove(
      machine.at("/etc/samba/smb.conf"));  // of a server that is no domain controller; provisioning makes another
  std::string realm = zone;
  std::ranges::transform(realm, realm.begin(), [](unsigned char c) { return std::toupper(c); });
  check(machine.run({"samba-tool", "domain", "provision", "--realm=" + realm, "--domain=LAB", "--server-role=dc",
                     "--dns-backend=SAMBA_INTERNAL", "--host-name=" + machine.name(), "--host-ip=" + machine.address(),
                     "--host-ip6=" + machine.address6(), "--option=server services=kdc, dns",
                     "--option=dns update command=/bin/true"},
                    {}, provision_time),
        "samba-tool domain provision");
  machine.must({"samba-tool", "user", "create", "k4t", "--random-password"});
  machine.must({"samba-tool", "user", "setexpiry", "k4t", "--noexpiry"});
  machine.must({"samba-tool", "domain", "exportkeytab", keytab_file, "--principal=k4t"});
  machine.serve("samba", {"samba", "--foreground", "--no-process-group", "--model=single", "--debug-stdout"},
                [&machine, zone] { return answers_for(machine, zone); });
}

}  // namespace k4t::testing::lab
