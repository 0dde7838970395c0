#pragma once

#include <chrono>
#include <filesystem>
#include <tensair/flags.hpp>

namespace tensair {

/// Runs `options.local` nodes of this very program as processes on this machine, and waits for them (`--local N`).
///
/// Each node gets a listening socket on a loopback port of its own, made here, so that no port can be taken in between.
/// What the nodes print comes out line by line behind `[rank] `; a node's progress bar passes untouched when standard
/// error is a terminal. When nobody reads the launcher's output any more it is dropped, and the run goes on. Node 0
/// reads standard input. Signals SIGINT and SIGTERM are passed on. When a node fails the others get `grace` to end by
/// themselves, then are killed. No node outlives the launcher. `Pipeline::run` calls this; a program need not.
/// One call at a time in a process.
/// @param program  what to start as a node, with `options.arguments` less `--local N`
/// @return the exit status of the first node that failed (128 + s when signal s ended it), or 0
/// @throws Error  when a node cannot be started; those already started are gone
auto launch_local(const Options& options, const std::filesystem::path& program = "/proc/self/exe",
                  std::chrono::milliseconds grace = std::chrono::seconds{5}) -> int;

}  // namespace tensair
