#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tensair {

/// Exit statuses that `Pipeline::run` returns, so that scripts can tell the cases apart.
enum class ExitCode : int {
  success = 0,
  failure = 1,  ///< the run failed: input, a user's lambda, a lost node, …
  usage = 2,    ///< the command line or the environment is wrong; nothing was started
};

/// Everything tensair throws: one line that says what failed, where, and what to do about it.
///
/// `what()` is that line; the parts are there as fields so that a program can act on them.
///
/// @code
/// try {
///   pipeline.execute();
/// } catch (const tensair::Error& error) {
///   std::printf("%s | %s | %s\n", error.failed().c_str(), error.place().c_str(), error.remedy().c_str());
/// }
/// @endcode
class Error : public std::runtime_error {
 public:
  /// @param failed  what failed: "the file is truncated"
  /// @param place   where: "data/test_batch.bin, record 17"; may be empty
  /// @param remedy  what to do: "Download it again."; may be empty
  explicit Error(std::string failed, std::string place = {}, std::string remedy = {},
                 ExitCode exit_code = ExitCode::failure);

  auto failed() const noexcept -> const std::string& { return failed_; }
  auto place() const noexcept -> const std::string& { return place_; }
  auto remedy() const noexcept -> const std::string& { return remedy_; }
  auto exit_code() const noexcept -> ExitCode { return exit_code_; }

 private:
  std::string failed_, place_, remedy_;
  ExitCode exit_code_;
};

/// A command line, environment or option that cannot be used; nothing was started.
class UsageError : public Error {
 public:
  explicit UsageError(std::string failed, std::string place = {}, std::string remedy = {});
};

/// A user's lambda threw. Names the operator, the node and the number (from 1) of the source record it was working on;
/// where it was called for none, as at the end of a window, the key and window or timer it was called for.
class UserError : public Error {
 public:
  /// @param called_for  empty if it was called for the record; else `record` is the last one that had come before
  UserError(std::string operator_name, int node, std::uint64_t record, const std::string& thrown,
            const std::string& called_for = {});

  auto operator_name() const noexcept -> const std::string& { return operator_name_; }
  auto node() const noexcept -> int { return node_; }
  auto record() const noexcept -> std::uint64_t { return record_; }

 private:
  std::string operator_name_;
  int node_;
  std::uint64_t record_;
};

/// A node of the cluster went away, or told that it failed, before the run had ended.
class NodeError : public Error {
 public:
  NodeError(int node, std::string failed, std::string place, std::string remedy);

  auto node() const noexcept -> int { return node_; }

 private:
  int node_;
};

}  // namespace tensair
