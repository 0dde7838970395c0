#!/usr/bin/env bash
# Measures what a program that uses tensair costs to compile: processor seconds at -O2, median of several runs.
#
#   bench/compile_time.sh [--runs N] [--json FILE] [--streams]
#
# N is 3 by default. --streams leaves out what needs LibTorch. CXX names the compiler (g++), Torch_DIR the folder of TorchConfig.cmake (default: the one of .venv).
# The precompiled header is made here (once, unmeasured, 0.7 GB in TMPDIR), because it fits one set of flags only.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

runs=3
json=
only_streams=
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    --runs) runs=${2:?compile_time: --runs needs a number}; shift ;;
    --json) json=${2:?compile_time: --json needs a file}; shift ;;
    --streams) only_streams=yes ;;
    *) echo "compile_time: unknown flag $1" >&2; exit 2 ;;
  esac
  shift
done

compiler=${CXX:-g++}
torch_config=${Torch_DIR:-$(echo "$root"/.venv/lib/python3*/site-packages/torch/share/cmake/Torch)}
torch=$(cd "$torch_config/../../.." 2>/dev/null && pwd) || [[ -n $only_streams ]] || { echo "compile_time: no LibTorch in $torch_config; run scripts/setup.sh or set Torch_DIR" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The wheel has the headers of a newer fmt in its folder; <fmt/…> is to mean the installed one, as in the build.
mkdir "$work/fmt_headers"
ln -s /usr/include/fmt "$work/fmt_headers/fmt"
stream_flags=(-std=c++20 -O2 -fno-math-errno -I"$root/include")
model_flags=("${stream_flags[@]}" -isystem "$work/fmt_headers" -isystem "$torch/include"
  -isystem "$torch/include/torch/csrc/api/include")

cat >"$work/stream.cpp" <<'CODE'
#include <cstdio>
#include <string>
#include <tensair/io/files.hpp>
#include <tensair/io/json_lines.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

int main(int argc, char** argv) {
  tensair::Pipeline pipeline{argc, argv};
  auto lines = pipeline.source(std::vector<std::string>{"one two", "three"});
  auto words = lines.flat_map([](const std::string& line) { return std::vector<std::string>{line, line}; });
  words.map([](const std::string& word) { return word.size(); })
      .filter([](std::size_t size) { return size > 3; })
      .batch(16)
      .sink([](const tensair::Batch<std::size_t>& batch) { std::printf("%zu\n", batch.size()); });
  words.filter([](const std::string& word) { return word != "two"; }).sink([](const std::string& word) { std::puts(word.c_str()); });
  return pipeline.run();
}
CODE

# Ten operators of all kinds behind a source, and four times as many, with functions of their own.
cat >"$work/operators.hpp" <<'CODE'
#include <chrono>
#include <cstdio>
#include <string>
#include <tensair/pipeline.hpp>
#include <vector>

using namespace std::chrono_literals;

struct Event {
  std::string user;
  long cents = 0;
  tensair::EventTime when;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& user& cents& when;
  }
};

// 10 operators: flat_map, filter, map, assign_timestamps, key_by, window, map, key_by, sum, sink.
#define TEN(n)                                                                                                     \
  void build_##n(tensair::Pipeline& pipeline) {                                                                    \
    pipeline.source(std::vector<std::string>{"a", "b"})                                                            \
        .flat_map([](const std::string& text) { return std::vector<std::string>(n + 1, text); })                   \
        .filter([](const std::string& text) { return text.size() > n; })                                           \
        .map([](const std::string& text) { return Event{text, n, {}}; })                                           \
        .assign_timestamps([](const Event& event) { return event.when; }, tensair::bounded_out_of_orderness(5s))   \
        .key_by(&Event::user)                                                                                      \
        .window(tensair::tumbling(10s))                                                                            \
        .sum([](const Event& event) { return event.cents + n; })                                                   \
        .map([](const auto& result) { return std::pair(std::string(result.key), result.value); })                  \
        .key_by([](const auto& pair) { return pair.second; })                                                      \
        .count()                                                                                                   \
        .sink([](const auto& counted) { std::printf("%ld\n", long(counted.key) + n); });                           \
  }
CODE
cat >"$work/ten.cpp" <<'CODE'
#include "operators.hpp"
TEN(0)
int main(int argc, char** argv) {
  tensair::Pipeline pipeline{argc, argv};
  build_0(pipeline);
  return pipeline.run();
}
CODE
cat >"$work/forty.cpp" <<'CODE'
#include "operators.hpp"
TEN(0)
TEN(1)
TEN(2)
TEN(3)
int main(int argc, char** argv) {
  tensair::Pipeline pipeline{argc, argv};
  build_0(pipeline), build_1(pipeline), build_2(pipeline), build_3(pipeline);
  return pipeline.run();
}
CODE
# The same forty in a row, so that each stage has all later ones in its type.
cat >"$work/chain.cpp" <<'CODE'
#include <type_traits>
#include "operators.hpp"

template <class S, int n>
auto ten_more(S stream, std::integral_constant<int, n>) {
  return std::move(stream)
      .flat_map([](const std::string& text) { return std::vector<std::string>(n + 1, text); })
      .filter([](const std::string& text) { return text.size() > n; })
      .map([](const std::string& text) { return Event{text, n, {}}; })
      .assign_timestamps([](const Event& event) { return event.when; }, tensair::bounded_out_of_orderness(5s))
      .key_by(&Event::user)
      .window(tensair::tumbling(10s))
      .sum([](const Event& event) { return event.cents + n; })
      .map([](const auto& result) { return std::pair(std::string(result.key), result.value); })
      .key_by([](const auto& pair) { return pair.second; })
      .count()
      .map([](const auto& counted) { return std::to_string(long(counted.key) + n); });
}
int main(int argc, char** argv) {
  tensair::Pipeline pipeline{argc, argv};
  auto one = ten_more(pipeline.source(std::vector<std::string>{"a", "b"}), std::integral_constant<int, 0>());
  auto two = ten_more(std::move(one), std::integral_constant<int, 1>());
  auto three = ten_more(std::move(two), std::integral_constant<int, 2>());
  ten_more(std::move(three), std::integral_constant<int, 3>()).sink([](const std::string& text) { std::puts(text.c_str()); });
  return pipeline.run();
}
CODE

cat >"$work/model.cpp" <<'CODE'
#include <torch/torch.h>

#include <cstdio>
#include <optional>
#include <tensair/tensair.hpp>
#include <vector>

int main(int argc, char** argv) {
  tensair::Pipeline pipeline{argc, argv};
  auto net = pipeline.model("linear", [] { return torch::nn::Linear{3, 2}; });
  pipeline.source([n = 0]() mutable -> std::optional<tensair::Example> {
            if (n == 1000) return std::nullopt;
            return tensair::Example{torch::rand({3}), torch::tensor(n++ % 2)};
          })
      .batch(32)
      .model(net)
      .train()
      .sink([](const tensair::TrainStep& step) { std::printf("%f\n", step.score.loss); });
  return pipeline.run();
}
CODE

# compile NAME LIMIT SOURCE FLAGS...: prints a row
compile() {
  local name=$1 limit=$2 source=$3 run times=()
  shift 3
  for ((run = 0; run < runs; ++run)); do
    TIMEFORMAT='%U %S'
    times+=("$( { time "$compiler" "$@" -c "$source" -o "$work/out.o" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }; } 2>&1 |
      awk 'NF == 2 { print $1 + $2 }')")
  done
  local median
  median=$(printf '%s\n' "${times[@]}" | sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }')
  printf '  %-50s%18.1f%13.2f\n' "$name, at most $limit s" "$median" "$(awk "BEGIN { print $median / $limit }")"
  rows+=("$(printf '{"workload": "compile, %s", "system": "tensair", "value": %s, "unit": "CPU s", "of_limit": %s}' \
    "$name" "$median" "$(awk "BEGIN { print $median / $limit }")")")
}

rows=()
printf '%-52s%18s%13s\n' "compiling one translation unit, $($compiler -dumpfullversion), -O2" "CPU s" "of limit"
compile "streams only" 6 "$work/stream.cpp" "${stream_flags[@]}"
compile "streams only, ten operators" 8 "$work/ten.cpp" "${stream_flags[@]}"
compile "streams only, forty operators" 20 "$work/forty.cpp" "${stream_flags[@]}"
compile "streams only, forty operators in one chain" 20 "$work/chain.cpp" "${stream_flags[@]}"
if [[ -n $only_streams ]]; then
  [[ -z $json ]] || (IFS=,; printf '[%s]\n' "${rows[*]}") >"$json"
  exit
fi
compile "with the model operator" 35 "$work/model.cpp" "${model_flags[@]}"
echo '#include <torch/torch.h>' >"$work/torch_pch.hpp"
"$compiler" "${model_flags[@]}" -x c++-header "$work/torch_pch.hpp" -o "$work/torch_pch.hpp.gch"
# With the flag that targets of the build get with it: g++ collects no garbage below 2 GB.
pch_flags=(-Winvalid-pch)
[[ $("$compiler" --version) == *clang* ]] || pch_flags+=(--param=ggc-min-heapsize=2000000)
compile "the same with the precompiled header" 15 "$work/model.cpp" "${model_flags[@]}" "${pch_flags[@]}" \
  -include "$work/torch_pch.hpp"
if [[ -n $json ]]; then
  (IFS=,; printf '[%s]\n' "${rows[*]}") >"$json"
fi
