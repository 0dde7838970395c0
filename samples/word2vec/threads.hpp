#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace word2vec {

/// Some threads that do pieces of a work together, and wait in between. All have ended their pieces when `run` returns.
class Threads {
 public:
  /// @param count  with the one that calls `run`
  explicit Threads(int count) {
    for (int i = 1; i < count; ++i) threads_.emplace_back([this, i] { serve(static_cast<std::size_t>(i)); });
  }
  Threads(const Threads&) = delete;
  auto operator=(const Threads&) -> Threads& = delete;
  ~Threads() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  auto count() const -> std::size_t { return threads_.size() + 1; }

  /// Calls `work(thread, piece)` for each piece, once. It must not throw.
  void run(std::size_t pieces, const std::function<void(std::size_t, std::size_t)>& work) {
    if (threads_.empty() || pieces < 2) {
      for (std::size_t piece = 0; piece < pieces; ++piece) work(0, piece);
      return;
    }
    {
      const std::lock_guard lock{mutex_};
      work_ = &work;
      pieces_ = pieces;
      next_ = 0;
      busy_ = threads_.size();
      ++round_;
    }
    wake_.notify_all();
    take_pieces(0, work);
    std::unique_lock lock{mutex_};
    idle_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void take_pieces(std::size_t thread, const std::function<void(std::size_t, std::size_t)>& work) {
    for (std::size_t piece = next_++; piece < pieces_; piece = next_++) work(thread, piece);
  }
  void serve(std::size_t thread) {
    std::uint64_t done = 0;
    std::unique_lock lock{mutex_};
    while (true) {
      wake_.wait(lock, [&] { return ended_ || round_ != done; });
      if (ended_) return;
      done = round_;
      const auto& work = *work_;
      lock.unlock();
      take_pieces(thread, work);
      lock.lock();
      if (--busy_ == 0) idle_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  const std::function<void(std::size_t, std::size_t)>* work_ = nullptr;
  std::atomic<std::size_t> next_ = 0;
  std::size_t pieces_ = 0, busy_ = 0;
  std::uint64_t round_ = 0;
  bool ended_ = false;
  std::vector<std::thread> threads_;  // last: they use the rest
};

}  // namespace word2vec
