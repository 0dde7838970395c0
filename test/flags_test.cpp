#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <tensair/error.hpp>
#include <tensair/flags.hpp>
#include <vector>

#include "catch.hpp"
#include "support/temporary_folder.hpp"

namespace {

using Catch::Matchers::ContainsSubstring;
using Variables = std::map<std::string, std::string>;

auto parse(tensair::Flags& flags, const std::vector<std::string>& arguments, const Variables& variables = {})
    -> tensair::Options {
  auto argv = std::vector<const char*>{"program"};
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  return flags.parse(static_cast<int>(argv.size()), argv.data(),
                     [&](const std::string& name) -> std::optional<std::string> {
                       const auto found = variables.find(name);
                       return found == variables.end() ? std::nullopt : std::optional{found->second};
                     });
}

auto parse(const std::vector<std::string>& arguments, const Variables& variables = {}) -> tensair::Options {
  auto flags = tensair::Flags{"program"};
  return parse(flags, arguments, variables);
}

/// What a usage error says; "" when there is none.
auto error_of(tensair::Flags& flags, const std::vector<std::string>& arguments, const Variables& variables = {})
    -> std::string {
  try {
    parse(flags, arguments, variables);
    return {};
  } catch (const tensair::UsageError& error) {
    return error.what();
  }
}

auto error_of(const std::vector<std::string>& arguments, const Variables& variables = {}) -> std::string {
  auto flags = tensair::Flags{"program"};
  return error_of(flags, arguments, variables);
}

auto help_of(tensair::Flags& flags) -> std::string {
  try {
    parse(flags, {"--help"});
    return {};
  } catch (const tensair::HelpRequested& help) {
    return help.text;
  }
}

using Nodes = std::vector<std::string>;

}  // namespace

TEST_CASE("without flags a program is one node with the defaults", "[flags]") {
  const auto options = parse({});
  CHECK(options.program == "program");
  CHECK(options.arguments == Nodes{"program"});
  CHECK(options.node_count() == 1);
  CHECK(options.rank == 0);
  CHECK(options.local == 0);
  CHECK(options.threads == 0);
  CHECK(options.seed == 1);
  CHECK_FALSE(options.quiet);
  CHECK(options.explain == tensair::Options::Explain::none);
  CHECK(options.json.empty());
  CHECK(options.connect_deadline == std::chrono::seconds{30});
  CHECK(options.heartbeat == std::chrono::milliseconds{500});
  CHECK(options.silence == std::chrono::seconds{5});
  CHECK(options.outage == std::chrono::seconds{10});
  CHECK(options.compression == tensair::compression::none);
  CHECK(options.listen_socket == -1);
}

TEST_CASE("a program started without even a name is one node", "[flags]") {
  const char* const none[] = {nullptr};
  CHECK(tensair::Flags{"program"}.parse(0, none).arguments.empty());
}

TEST_CASE("every program has tensair's flags, with = or a space", "[flags]") {
  const auto given = GENERATE(Nodes{"--threads", "3", "--seed", "18446744073709551615", "--json", "out.json", "--quiet",
                                    "--connect-deadline", "2.5", "--nodes", "a:1,b:2", "--rank", "1"},
                              Nodes{"--threads=3", "--seed=18446744073709551615", "--json=out.json", "--quiet",
                                    "--connect-deadline=2.5", "--nodes=a:1,b:2", "--rank=1"});
  const auto options = parse(given);
  CHECK(options.threads == 3);
  CHECK(options.seed == UINT64_MAX);
  CHECK(options.json == "out.json");
  CHECK(options.quiet);
  CHECK(options.connect_deadline == std::chrono::milliseconds{2500});
  CHECK(options.nodes == Nodes{"a:1", "b:2"});
  CHECK(options.rank == 1);
  CHECK(options.arguments.size() == given.size() + 1);
}

TEST_CASE("the flag --explain prints text or, when asked, a graph", "[flags]") {
  using Explain = tensair::Options::Explain;
  CHECK(parse({"--explain"}).explain == Explain::text);
  CHECK(parse({"--explain=text"}).explain == Explain::text);
  CHECK(parse({"--explain=dot"}).explain == Explain::dot);
  CHECK(parse({"--explain", "--local", "3"}).local == 3);
  CHECK_THAT(error_of({"--explain=svg"}), ContainsSubstring("--explain takes one of text, dot, not 'svg'"));
}

TEST_CASE("flags say which links deltas travel, and which profile is made or used", "[flags]") {
  using tensair::overlay;
  CHECK(parse({}).overlay == overlay::automatic);
  CHECK(parse({"--overlay", "mesh"}).overlay == overlay::mesh);
  CHECK(parse({"--overlay=tree"}).overlay == overlay::tree);
  CHECK_THAT(error_of({"--overlay", "ring"}), ContainsSubstring("--overlay takes one of mesh, tree, not 'ring'"));
  CHECK(parse({}).profile.empty());
  CHECK(parse({}).use_profile.empty());
  CHECK(parse({"--profile", "run.json"}).profile == "run.json");
  CHECK(parse({"--profile", "run.json"}).use_profile.empty());
  CHECK(parse({"--use-profile=run.json"}).use_profile == "run.json");
  CHECK(parse({"--use-profile=run.json"}).profile.empty());
  for (const std::string flag : {"--profile", "--use-profile"})
    CHECK_THAT(error_of({flag}), ContainsSubstring(flag + " takes a file, and nothing follows it"));
}

TEST_CASE("a flag given twice counts as last given", "[flags]") {
  CHECK(parse({"--threads", "2", "--threads=4"}).threads == 4);
  CHECK_FALSE(parse({"--quiet", "--no-quiet"}).quiet);
  CHECK(parse({"--no-quiet", "--quiet"}).quiet);
}

TEST_CASE("a program's own flags fill its variables", "[flags]") {
  int epochs = 5;
  std::uint64_t records = 1;
  double rate = 0.1;
  bool augment = false, fused = true;
  std::string name = "cnn", optimizer = "adam";
  std::filesystem::path data = "data";
  auto flags = tensair::Flags{"cifar10", "Learns CIFAR-10."};
  flags.add("--epochs", epochs, "how often each image is shown")
      .add("--records", records, "how many")
      .add("--rate", rate, "step size")
      .add("--augment", augment, "shifted and mirrored images too")
      .add("--fused", fused, "one pass over the parameters")
      .add("--name", name, "what to call it")
      .add("--optimizer", optimizer, {"adam", "sgd"}, "which one")
      .add("--data", data, "where the images are");

  SECTION("when they are given") {
    parse(flags, {"--epochs=-2", "--records", "10000000000", "--rate", "1e-3", "--augment", "--no-fused", "--name",
                  "a b", "--optimizer=sgd", "--data", "/tmp"});
    CHECK(epochs == -2);
    CHECK(records == 10'000'000'000);
    CHECK(rate == 1e-3);
    CHECK(augment);
    CHECK_FALSE(fused);
    CHECK(name == "a b");
    CHECK(optimizer == "sgd");
    CHECK(data == "/tmp");
  }
  SECTION("and keep what they have when not") {
    parse(flags, {});
    CHECK(epochs == 5);
    CHECK(fused);
    CHECK(optimizer == "adam");
  }
  SECTION("a bad value names the flag, the value and what it takes") {
    CHECK_THAT(error_of(flags, {"--epochs", "five"}), ContainsSubstring("--epochs takes a whole number, not 'five'"));
    CHECK_THAT(error_of(flags, {"--epochs", "5.5"}), ContainsSubstring("--epochs takes a whole number, not '5.5'"));
    CHECK_THAT(error_of(flags, {"--epochs", "3000000000"}), ContainsSubstring("to 2147483647, not '3000000000'"));
    CHECK_THAT(error_of(flags, {"--records", "-1"}),
               ContainsSubstring("--records takes a whole number from 0 on, not '-1'"));
    CHECK_THAT(error_of(flags, {"--rate", "fast"}), ContainsSubstring("--rate takes a number, not 'fast'"));
    CHECK_THAT(error_of(flags, {"--rate", "nan"}), ContainsSubstring("--rate takes a number, not 'nan'"));
    CHECK_THAT(error_of(flags, {"--optimizer", "adm"}),
               ContainsSubstring("--optimizer takes one of adam, sgd, not 'adm'"));
    CHECK_THAT(error_of(flags, {"--augment=perhaps"}), ContainsSubstring("--augment takes no value, or yes or no"));
    CHECK_THAT(error_of(flags, {"--epochs"}), ContainsSubstring("--epochs takes a whole number, and nothing follows"));
    CHECK_THAT(error_of(flags, {"--data=", "--augment"}), ContainsSubstring("--data= has no value"));
  }
  SECTION("an unknown flag is named, with the one that was meant if it is near") {
    CHECK_THAT(error_of(flags, {"--epoch", "3"}), ContainsSubstring("unknown flag --epoch. Did you mean --epochs?"));
    CHECK_THAT(error_of(flags, {"--epohcs=3"}), ContainsSubstring("unknown flag --epohcs. Did you mean --epochs?"));
    CHECK_THAT(error_of(flags, {"--no-fuse"}), ContainsSubstring("Did you mean --no-fused?"));
    CHECK_THAT(error_of(flags, {"--theads", "3"}), ContainsSubstring("Did you mean --threads?"));
    CHECK_THAT(error_of(flags, {"--connect"}), ContainsSubstring("Did you mean --connect-deadline?"));
    CHECK_THAT(error_of(flags, {"--zebra"}), ContainsSubstring("unknown flag --zebra. See --help."));
    CHECK_THAT(error_of(flags, {"-x"}), ContainsSubstring("unknown flag -x. See --help."));
    CHECK_THAT(error_of(flags, {"images"}), ContainsSubstring("unexpected argument 'images'"));
    CHECK_THAT(error_of(flags, {"--", "images"}), ContainsSubstring("unexpected argument 'images'"));
  }
  SECTION("--help shows them first, each on a line with its default, then everybody's") {
    const auto help = help_of(flags);
    CHECK_THAT(help, ContainsSubstring("Usage: cifar10 [FLAGS]\nLearns CIFAR-10.\n\n  --epochs N"));
    CHECK_THAT(help, ContainsSubstring("how often each image is shown (default 5)\n"));
    CHECK_THAT(help, ContainsSubstring("--[no-]fused"));
    CHECK_THAT(help, ContainsSubstring("--optimizer adam|sgd"));
    CHECK_THAT(help, ContainsSubstring("(default 0.1)\n"));
    const auto common = help.find("\nEvery tensair program:\n");
    REQUIRE(common != std::string::npos);
    CHECK(help.find("--data") < common);
    for (const char* flag :
         {"--local N", "--nodes HOST:PORT", "--cluster FILE", "--rank N", "--explain[=text|dot]", "--json FILE",
          "--overlay mesh|tree", "--profile FILE", "--use-profile FILE", "--threads N", "--seed N", "--[no-]quiet",
          "--connect-deadline SECONDS", "--heartbeat SECONDS", "--silence SECONDS", "--outage SECONDS",
          "--compress none|lz4|zstd", "--help"}) {
      INFO(flag);
      const auto at = help.find("\n  " + std::string{flag});
      REQUIRE(at != std::string::npos);
      CHECK(at > common);
    }
  }
}

TEST_CASE("the flag --help wins over everything that is wrong with the rest", "[flags]") {
  CHECK_THROWS_AS(parse({"--local", "0", "-h", "--zebra"}), tensair::HelpRequested);
}

TEST_CASE("a program cannot name its flags as tensair's, or twice, or without dashes", "[flags]") {
  auto flags = tensair::Flags{"program"};
  int n = 0;
  bool b = false;
  flags.add("--batch", n, "");
  CHECK_THROWS_AS(flags.add("--seed", n, ""), tensair::Error);
  CHECK_THROWS_AS(flags.add("--no-quiet", n, ""), tensair::Error);
  CHECK_THROWS_AS(flags.add("--batch", b, ""), tensair::Error);
  CHECK_THROWS_AS(flags.add("epochs", n, ""), tensair::Error);
  CHECK_THROWS_AS(flags.add("--two words", n, ""), tensair::Error);
}

TEST_CASE("numbers outside their range are refused", "[flags]") {
  CHECK_THAT(error_of({"--threads", "-1"}),
             ContainsSubstring("--threads takes a whole number from 0 to 4096, not '-1'"));
  CHECK_THAT(error_of({"--threads=many"}), ContainsSubstring("--threads takes a whole number from 0 to 4096"));
  CHECK_THAT(error_of({"--local", "0"}), ContainsSubstring("--local takes a whole number from 1 to 1024, not '0'"));
  CHECK_THAT(error_of({"--local", "1025"}), ContainsSubstring("not '1025'"));
  CHECK_THAT(error_of({"--seed", "-1"}), ContainsSubstring("--seed takes a whole number from 0 on, not '-1'"));
  CHECK_THAT(error_of({"--rank", "-1"}), ContainsSubstring("--rank takes"));
  for (const char* bad : {"0", "-2", "soon", "inf", "1e9"}) {
    CHECK_THAT(error_of({"--connect-deadline", bad}),
               ContainsSubstring("--connect-deadline takes a number of seconds"));
  }
  CHECK(parse({"--local", "1024"}).local == 1024);
  CHECK(parse({"--connect-deadline", "0.0001"}).connect_deadline == std::chrono::milliseconds{1});
  for (const char* bad : {"-2", "soon", "inf", "1e9", "nan"}) {
    CHECK_THAT(error_of({"--heartbeat", bad}), ContainsSubstring("--heartbeat takes a number of seconds, from 0 on"));
    CHECK_THAT(error_of({"--outage", bad}), ContainsSubstring("--outage takes a number of seconds, from 0 on"));
    CHECK_THAT(error_of({"--silence", bad}), ContainsSubstring("--silence takes a number of seconds, more than 0"));
  }
  CHECK_THAT(error_of({"--silence", "0"}), ContainsSubstring("--silence takes a number of seconds, more than 0"));
  CHECK_THAT(error_of({"--compress", "gzip"}),
             ContainsSubstring("--compress takes one of none, lz4, zstd, not 'gzip'"));
}

TEST_CASE("flags say how soon a node is missed, and a connection given up", "[flags]") {
  const auto options = parse({"--heartbeat", "0.1", "--silence=1.5", "--outage", "0"});
  CHECK(options.heartbeat == std::chrono::milliseconds{100});
  CHECK(options.silence == std::chrono::milliseconds{1500});
  CHECK(options.outage == std::chrono::milliseconds{0});
  CHECK(parse({"--heartbeat", "0", "--silence", "0.01"}).heartbeat == std::chrono::milliseconds{0});
  CHECK(parse({"--silence", "1"}).silence == std::chrono::seconds{1});  // two heartbeats
  CHECK_THAT(error_of({"--silence", "0.9"}),
             ContainsSubstring("--silence 0.9 is too short for --heartbeat 0.5: a node that is alive"));
  CHECK_THAT(error_of({"--heartbeat", "3"}), ContainsSubstring("--silence 5 is too short for --heartbeat 3"));
}

TEST_CASE("a flag says how records are compressed between nodes", "[flags][compression]") {
  using tensair::compression;
  CHECK(parse({"--compress", "none"}).compression == compression::none);
  for (const auto method : {compression::lz4, compression::zstd}) {
    const auto name = to_string(method);
    if (tensair::is_available(method)) {
      CHECK(parse({"--compress", name}).compression == method);
    } else {
      CHECK_THAT(error_of({"--compress", name}), ContainsSubstring("this build of tensair has no " + name));
    }
  }
}

TEST_CASE("flags that contradict each other, or say too little, are refused", "[flags]") {
  CHECK_THAT(error_of({"--local", "2", "--nodes", "a:1"}), ContainsSubstring("--local and --nodes exclude each other"));
  CHECK_THAT(error_of({"--local", "2", "--rank", "1"}), ContainsSubstring("--local and --rank exclude each other"));
  CHECK_THAT(error_of({"--rank", "0"}), ContainsSubstring("--rank without a list of nodes. Give --nodes"));
  CHECK_THAT(error_of({"--nodes", "a:1,b:1"}), ContainsSubstring("--nodes without a rank"));
  CHECK_THAT(error_of({"--nodes", "a:1,b:1", "--rank", "2"}),
             ContainsSubstring("--rank 2 is outside the list: --nodes has 2 nodes"));
}

TEST_CASE("an address is host:port, an IPv6 one in brackets", "[flags]") {
  CHECK(parse({"--nodes", "[::1]:7001,10.0.0.7:7001,host-a.example:65535", "--rank", "0"}).nodes ==
        Nodes{"[::1]:7001", "10.0.0.7:7001", "host-a.example:65535"});
  for (const char* bad : {"a", "a:", ":1", "a:0", "a:65536", "a:x", "a:1x", "::1:7001", "[::1]", "[]:1", "[::1:1",
                          "a b:1", "http://a:1", ""}) {
    INFO("address '" << bad << "'");
    const auto error = error_of({"--nodes", "good:1," + std::string{bad}, "--rank", "0"});
    CHECK_THAT(error, ContainsSubstring("--nodes"));
    CHECK_THAT(error, ContainsSubstring(bad));
  }
  CHECK_THAT(error_of({"--nodes", "a:1,b:1,a:1", "--rank", "0"}),
             ContainsSubstring("--nodes: nodes 0 and 2 have the same address a:1"));
}

TEST_CASE("the environment says what the flags do not", "[flags][environment]") {
  const auto cluster = Variables{{"TENSAIR_NODES", "a:1,b:1"}, {"TENSAIR_RANK", "1"}};
  CHECK(parse({}, cluster).nodes == Nodes{"a:1", "b:1"});
  CHECK(parse({}, cluster).rank == 1);
  CHECK(parse({"--rank", "0"}, cluster).rank == 0);
  CHECK(parse({"--nodes", "c:1,d:1,e:1"}, cluster).nodes == Nodes{"c:1", "d:1", "e:1"});
  CHECK(parse({"--local", "3"}, cluster).nodes.empty());
  CHECK(parse({}, {{"TENSAIR_THREADS", "3"}}).threads == 3);
  CHECK(parse({"--threads", "2"}, {{"TENSAIR_THREADS", "3"}}).threads == 2);
  CHECK(parse({}, {{"TENSAIR_DEVICE", "auto"}}).device == "auto");
  CHECK(parse({"--device", "cuda:3"}, {{"TENSAIR_DEVICE", "auto"}}).device == "cuda:3");
  CHECK(parse({}).device.empty());
  CHECK_THAT(error_of({"--device", "gpu"}), ContainsSubstring("--device takes cpu, cuda, cuda:N or auto, not 'gpu'"));
  CHECK_THAT(error_of({}, {{"TENSAIR_DEVICE", "cuda:"}}),
             ContainsSubstring("TENSAIR_DEVICE takes cpu, cuda, cuda:N or auto, not 'cuda:'"));
  CHECK(parse({}, {{"TENSAIR_NODES", ""}, {"TENSAIR_RANK", ""}}).node_count() == 1);

  CHECK_THAT(error_of({}, {{"TENSAIR_NODES", "a:1"}}), ContainsSubstring("TENSAIR_NODES without a rank"));
  CHECK_THAT(error_of({}, {{"TENSAIR_RANK", "0"}}), ContainsSubstring("TENSAIR_RANK without a list of nodes"));
  CHECK_THAT(error_of({}, {{"TENSAIR_NODES", "a:1"}, {"TENSAIR_RANK", "1"}}),
             ContainsSubstring("TENSAIR_RANK 1 is outside the list: TENSAIR_NODES has 1 node"));
  CHECK_THAT(error_of({}, {{"TENSAIR_NODES", "a"}, {"TENSAIR_RANK", "0"}}), ContainsSubstring("TENSAIR_NODES: 'a'"));
  CHECK_THAT(error_of({}, {{"TENSAIR_THREADS", "x"}}), ContainsSubstring("TENSAIR_THREADS takes a whole number"));
}

TEST_CASE("the cluster's token comes from a file or the environment", "[flags][environment]") {
  const std::string file = "flags_test_token";
  const auto put = [&](const std::string& text) { std::ofstream{file, std::ios::binary} << text; };
  const auto in_file = std::vector<std::string>{"--token-file", file};
  const auto in_environment = Variables{{"TENSAIR_TOKEN", "the environment's token"}};
  CHECK(parse({}).token.empty());
  CHECK(parse({}, {{"TENSAIR_TOKEN", ""}}).token.empty());
  CHECK(parse({}, in_environment).token == "the environment's token");
  put("the token of the file\r\n");
  CHECK(parse(in_file).token == "the token of the file");
  CHECK(parse(in_file, in_environment).token == "the token of the file");
  std::string long_line(4096, 'x');
  long_line += '\n';  // g++ 12 takes a sum for one beyond the text's end
  put(long_line);
  CHECK(parse(in_file).token.size() == 4096);

  const std::string says = "a cluster's token has from 16 to 4096 bytes, not ";
  const std::string how = ". Make one with: head -c 32 /dev/urandom | base64";
  put("secret\n");
  CHECK(error_of(in_file) == says + "6 (--token-file " + file + ")" + how);
  put(std::string(5000, 'x'));
  CHECK_THAT(error_of(in_file), ContainsSubstring(says));
  put("");
  CHECK_THAT(error_of(in_file), ContainsSubstring(says + "0 "));
  CHECK(error_of({}, {{"TENSAIR_TOKEN", "secret"}}) == says + "6 (TENSAIR_TOKEN)" + how);
  std::filesystem::remove(file);
  CHECK_THAT(error_of(in_file), ContainsSubstring("cannot be read: No such file or directory (--token-file " + file));
  CHECK_THAT(error_of({"--token-file", "."}), ContainsSubstring("the file of the cluster's token cannot be read: "));
}

TEST_CASE("the launcher's socket belongs to the list it made", "[flags][environment]") {
  const auto launched = Variables{{"TENSAIR_NODES", "a:1,b:1"}, {"TENSAIR_RANK", "1"}, {"TENSAIR_LISTEN_SOCKET", "5"}};
  CHECK(parse({}, launched).listen_socket == 5);
  CHECK(parse({"--nodes", "c:1,d:1"}, launched).listen_socket == -1);
  CHECK(parse({"--rank", "0"}, launched).listen_socket == -1);
  CHECK(parse({}, {{"TENSAIR_LISTEN_SOCKET", "5"}}).listen_socket == -1);
}

TEST_CASE("on one host Open MPI, Slurm and torchrun make a cluster", "[flags][environment]") {
  const auto launcher = GENERATE(
      Variables{{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "3"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}},
      Variables{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "3"}, {"SLURM_NNODES", "1"}},
      Variables{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "3"}, {"SLURM_JOB_NODELIST", "node7"}},
      Variables{{"SLURM_PROCID", "1"},
                {"SLURM_NTASKS", "8"},
                {"SLURM_NNODES", "4"},
                {"SLURM_STEP_NUM_TASKS", "3"},
                {"SLURM_STEP_NUM_NODES", "1"}},
      Variables{{"RANK", "1"},
                {"WORLD_SIZE", "3"},
                {"LOCAL_WORLD_SIZE", "3"},
                {"MASTER_ADDR", "localhost"},
                {"MASTER_PORT", "7699"},
                {"SLURM_PROCID", "0"},
                {"SLURM_NTASKS", "2"}});
  const auto options = parse({}, launcher);
  CHECK(options.nodes == Nodes{"127.0.0.1:7700", "127.0.0.1:7701", "127.0.0.1:7702"});
  CHECK(options.rank == 1);

  auto with_port = launcher;
  with_port["TENSAIR_PORT"] = "9000";
  CHECK(parse({}, with_port).nodes == Nodes{"127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"});
  with_port["TENSAIR_PORT"] = "65534";
  CHECK_THAT(error_of({}, with_port), ContainsSubstring("there are no 3 ports from 65534 on"));
  CHECK(parse({"--local", "2"}, launcher).local == 2);
}

TEST_CASE("on several hosts a launcher gives the rank, and the addresses must be said", "[flags][environment]") {
  struct Case {
    std::string name;
    Variables variables;
  };
  const auto launcher = GENERATE(
      Case{"Open MPI",
           {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}},
      Case{"Slurm", {{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"SLURM_NNODES", "2"}}},
      Case{"Slurm", {{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"SLURM_JOB_NODELIST", "node[7-8]"}}},
      Case{"Slurm", {{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}}},
      Case{"torchrun",
           {{"RANK", "1"},
            {"WORLD_SIZE", "2"},
            {"LOCAL_WORLD_SIZE", "1"},
            {"MASTER_ADDR", "a"},
            {"MASTER_PORT", "29500"}}});
  const auto error = error_of({}, launcher.variables);
  CHECK_THAT(error, ContainsSubstring(launcher.name + " started 2 nodes on several hosts"));
  CHECK_THAT(error, ContainsSubstring("Set TENSAIR_NODES to host:port of every rank, in order."));

  auto with_nodes = launcher.variables;
  with_nodes["TENSAIR_NODES"] = "a:1,b:1";
  CHECK(parse({}, with_nodes).rank == 1);
  CHECK(parse({"--nodes", "c:1,d:1"}, launcher.variables).rank == 1);
  with_nodes["TENSAIR_NODES"] = "a:1,b:1,c:1";
  CHECK_THAT(error_of({}, with_nodes),
             ContainsSubstring("TENSAIR_NODES lists 3 nodes, but " + launcher.name + " started 2"));
}

TEST_CASE("a launcher of one process makes no cluster", "[flags][environment]") {
  CHECK(parse({}, {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}).nodes.empty());
  CHECK(parse({}, {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}).nodes.empty());
  // These names are common: all four or it was not torchrun.
  CHECK(parse({}, {{"RANK", "1"}, {"WORLD_SIZE", "2"}}).nodes.empty());
}

TEST_CASE("a launcher's variables that make no sense are refused", "[flags][environment]") {
  CHECK_THAT(error_of({}, {{"SLURM_PROCID", "x"}, {"SLURM_NTASKS", "2"}, {"SLURM_NNODES", "1"}}),
             ContainsSubstring("SLURM_PROCID takes a whole number from 0 on, not 'x' (environment)"));
  CHECK_THAT(error_of({}, {{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "2"}, {"SLURM_NNODES", "1"}}),
             ContainsSubstring("Slurm says this is rank 2 of 2"));
}

namespace {

/// A cluster file with this text.
struct ClusterText {
  explicit ClusterText(const std::string& text) { std::ofstream{path} << text; }
  tensair::test::TemporaryFolder folder;
  std::string path = (folder.path() / "cluster.json").string();
};

const std::string three_nodes = R"({
  "nodes": [
    {"address": "10.0.0.1:7700", "workers": 2},
    {"address": "10.0.0.2:7700", "workers": 8, "labels": ["gpu", "berlin"]},
    {"address": "[::1]:7700"}
  ]
})";

}  // namespace

TEST_CASE("a cluster file says where the nodes are, and what they are", "[flags][cluster]") {
  const ClusterText file{three_nodes};
  for (const auto& options : {parse({"--cluster", file.path, "--rank", "1"}),
                              parse({}, {{"TENSAIR_CLUSTER", file.path}, {"TENSAIR_RANK", "1"}}),
                              parse({"--rank", "1"}, {{"TENSAIR_CLUSTER", file.path}, {"TENSAIR_NODES", "a:1,b:1"}})}) {
    CHECK(options.rank == 1);
    CHECK(options.nodes == Nodes{"10.0.0.1:7700", "10.0.0.2:7700", "[::1]:7700"});
    REQUIRE(options.specs.size() == 3);
    CHECK(options.specs[0].workers == 2);
    CHECK(options.specs[1].workers == 8);
    CHECK(options.specs[2].workers == 0);
    CHECK(options.specs[0].labels.empty());
    CHECK(options.specs[1].labels == Nodes{"gpu", "berlin"});
  }
  CHECK(parse({"--nodes", "a:1,b:1", "--rank", "0"}, {{"TENSAIR_CLUSTER", file.path}}).specs.empty());
}

TEST_CASE("a whole cluster file runs on one machine", "[flags][cluster]") {
  const ClusterText file{three_nodes};
  const auto options = parse({"--cluster", file.path, "--local", "3"});
  CHECK(options.local == 3);
  CHECK(options.nodes.empty());
  CHECK(options.specs.size() == 3);
  // A node that the launcher has started: its addresses, and what the file says else.
  const auto node = parse({"--cluster", file.path}, {{"TENSAIR_NODES", "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"},
                                                     {"TENSAIR_RANK", "2"},
                                                     {"TENSAIR_LISTEN_SOCKET", "7"}});
  CHECK(node.nodes.front() == "127.0.0.1:1");
  CHECK(node.specs[1].workers == 8);
  CHECK_THAT(error_of({"--cluster", file.path, "--local", "2"}),
             ContainsSubstring("--local 2 with a cluster file of 3 nodes. Give the same number"));
}

TEST_CASE("a cluster file that says something else is refused in one line", "[flags][cluster][bad-input]") {
  const auto error_in = [](const std::string& text) {
    const ClusterText file{text};
    auto line = error_of({"--cluster", file.path, "--rank", "0"});
    CHECK(line.find('\n') == std::string::npos);
    CHECK_THAT(line, ContainsSubstring("cluster.json"));
    return line;
  };
  CHECK_THAT(error_in("{\n\"nodes\": [\n{]\n}"), ContainsSubstring("is not JSON") && ContainsSubstring(".json:3)"));
  CHECK_THAT(error_in(""), ContainsSubstring("is not JSON"));
  CHECK_THAT(error_of({"--cluster", ".", "--rank", "0"}), ContainsSubstring("cannot be read: Is a directory"));
  CHECK_THAT(error_in("[]"), ContainsSubstring("has no list of nodes"));
  CHECK_THAT(error_in(R"({"nodes": {}})"), ContainsSubstring("has no list of nodes"));
  CHECK_THAT(error_in(R"({"nodes": []})"), ContainsSubstring("has no nodes"));
  CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1"}], "name": "x"})"), ContainsSubstring("says 'name'"));
  CHECK_THAT(error_in(R"({"nodes": ["a:1"]})"), ContainsSubstring("has a node that is no object"));
  CHECK_THAT(error_in(R"({"nodes": [{"host": "a:1"}]})"), ContainsSubstring("says 'host', which is not known"));
  CHECK_THAT(error_in(R"({"nodes": [{"workers": 1}]})"),
             ContainsSubstring("node 0): ") || ContainsSubstring("node 0)"));
  CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1"}, {"address": "b"}]})"),
             ContainsSubstring("node 1: 'b' has no port"));
  CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1"}, {"address": "a:1"}]})"),
             ContainsSubstring("gives the address a:1 of node 0 once more") && ContainsSubstring("node 1)"));
  for (const std::string workers : {"0", "-1", "1.5", "\"2\"", "5000", "null"}) {
    CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1", "workers": )" + workers + "}]}"),
               ContainsSubstring("has " + workers + " workers, not a whole number from 1 to 4096"));
  }
  CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1", "labels": "gpu"}]})"),
             ContainsSubstring("has labels that are no list of texts"));
  CHECK_THAT(error_in(R"({"nodes": [{"address": "a:1", "labels": [1]}]})"),
             ContainsSubstring("has labels that are no list of texts"));
  CHECK_THAT(error_of({"--cluster", "/nowhere/cluster.json", "--rank", "0"}),
             ContainsSubstring("the cluster file cannot be read: No such file or directory (/nowhere/cluster.json)"));
  const ClusterText file{three_nodes};
  CHECK_THAT(error_of({"--cluster", file.path, "--nodes", "a:1", "--rank", "0"}),
             ContainsSubstring("--nodes and --cluster exclude each other"));
  CHECK_THAT(error_of({"--cluster", file.path}), ContainsSubstring("the cluster file without a rank"));
  CHECK_THAT(error_of({"--cluster", file.path, "--rank", "3"}),
             ContainsSubstring("--rank 3 is outside the list: the cluster file has 3 nodes"));
}
