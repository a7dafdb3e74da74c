// SPDX-License-Identifier: MIT
// Batches from a dataset, shuffled, and made by worker threads ahead of time. What comes, and in which order, depends on
// the seed and the epoch alone, never on the workers.
//
//   DataLoader loader(dataset, DataLoaderOptions().batch_size(64).shuffle(true).workers(2));
//   for (auto [x, y] : loader) ...                     // one epoch; the next loop is the next epoch, in another order
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "sinter/data/dataset.hpp"
#include "sinter/graph/grad_mode.hpp"

namespace sinter {

class DataLoaderOptions {
 public:
  std::int64_t batch_size() const { return batch_size_; }
  bool shuffle() const { return shuffle_; }
  int workers() const { return workers_; }
  int prefetch_factor() const { return prefetch_factor_; }
  bool drop_last() const { return drop_last_; }
  const std::optional<std::uint64_t>& seed() const { return seed_; }
  DataLoaderOptions& batch_size(std::int64_t v) { return batch_size_ = v, *this; }
  DataLoaderOptions& shuffle(bool v) { return shuffle_ = v, *this; }
  DataLoaderOptions& workers(int v) { return workers_ = v, *this; }  // 0: the loop makes its batches itself
  DataLoaderOptions& prefetch_factor(int v) { return prefetch_factor_ = v, *this; }  // batches ahead, for each worker
  DataLoaderOptions& drop_last(bool v) { return drop_last_ = v, *this; }
  DataLoaderOptions& seed(std::uint64_t v) { return seed_ = v, *this; }  // without: drawn from the default generator

 private:
  std::int64_t batch_size_ = 1;
  bool shuffle_ = false, drop_last_ = false;
  int workers_ = 0, prefetch_factor_ = 2;
  std::optional<std::uint64_t> seed_;
};

// The batches of one epoch, each made from (seed, epoch, its number) alone.
template <class Dataset>
class Epoch {
 public:
  Epoch(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& o, std::uint64_t epoch)
      : dataset_(std::move(dataset)), batch_size_(o.batch_size()), seed_(Philox(*o.seed(), epoch).word[0] | std::uint64_t(Philox(*o.seed(), epoch).word[1]) << 32) {
    const std::int64_t n = dataset_->size();
    if (o.shuffle()) {
      Generator g(seed_);
      order_ = randperm(n, g);
    } else {
      order_ = arange(n);
    }
    batches_ = o.drop_last() ? n / batch_size_ : (n + batch_size_ - 1) / batch_size_;
  }
  std::int64_t batches() const { return batches_; }

  auto batch(std::int64_t b) const {
    NoGradGuard no_grad;
    const std::int64_t* index = order_.data() + b * batch_size_;
    const std::int64_t n = std::min(batch_size_, order_.numel() - b * batch_size_);
    if constexpr (gathers<Dataset>) {
      return dataset_->gather(index, n);
    } else {
      std::vector<decltype(sample(0))> samples;
      samples.reserve(std::size_t(n));
      for (std::int64_t k = 0; k < n; ++k) samples.push_back(sample(index[k]));
      return collated(samples, std::make_index_sequence<std::tuple_size_v<decltype(sample(0))>>());
    }
  }

 private:
  auto sample(std::int64_t i) const {
    const Philox key(seed_, std::uint64_t(i), 1);
    Generator g(key.word[0] | std::uint64_t(key.word[1]) << 32);
    return get_sample(*dataset_, i, g);
  }
  template <class Samples, std::size_t... K>
  static auto collated(const Samples& samples, std::index_sequence<K...>) {
    const auto column = [&](auto k) {
      std::vector<std::decay_t<std::tuple_element_t<k, typename Samples::value_type>>> one;
      for (const auto& s : samples) one.push_back(std::get<k>(s));
      return collate(one);
    };
    return std::tuple(column(std::integral_constant<std::size_t, K>())...);
  }

  std::shared_ptr<const Dataset> dataset_;
  std::int64_t batch_size_, batches_ = 0;
  std::uint64_t seed_;
  Tensor<std::int64_t, 1> order_;
};

// Worker threads that make the batches of an epoch, at most `ahead` of them before they are taken. Destroying it stops them.
template <class Dataset>
class Prefetcher {
 public:
  using Batch = decltype(std::declval<const Epoch<Dataset>&>().batch(0));

  Prefetcher(Epoch<Dataset> epoch, int workers, int ahead) : epoch_(std::move(epoch)), slots_(std::size_t(workers) * std::size_t(ahead)) {
    try {
      for (int w = 0; w < workers && w < epoch_.batches(); ++w) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  ~Prefetcher() { stop(); }

  // The next batch, nothing at the end. Throws what making it has thrown.
  std::optional<Batch> next() {
    if (taken_ == epoch_.batches()) return std::nullopt;
    if (threads_.empty()) return epoch_.batch(taken_++);
    std::unique_lock<std::mutex> lock(mutex_);
    Slot& slot = slots_[std::size_t(taken_) % slots_.size()];
    made_.wait(lock, [&] { return slot.full; });
    Slot mine = std::exchange(slot, Slot());
    ++taken_;
    lock.unlock();
    free_.notify_one();
    if (mine.error) std::rethrow_exception(mine.error);
    return std::move(mine.batch);
  }

 private:
  struct Slot {
    bool full = false;
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const auto room = [&] { return started_ < taken_ + std::int64_t(slots_.size()); };
      free_.wait(lock, [&] { return stopped_ || started_ == epoch_.batches() || room(); });
      if (stopped_ || started_ == epoch_.batches()) return;
      const std::int64_t b = started_++;
      lock.unlock();
      Slot made;
      try {
        made.batch = epoch_.batch(b);
      } catch (...) {
        made.error = std::current_exception();
      }
      made.full = true;
      lock.lock();
      slots_[std::size_t(b) % slots_.size()] = std::move(made);
      made_.notify_one();  // the loop alone waits
      if (started_ == epoch_.batches()) free_.notify_all();  // the others may go
    }
  }
  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    free_.notify_all();
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  const Epoch<Dataset> epoch_;
  std::vector<Slot> slots_;  // batch b waits in slot b % size
  std::mutex mutex_;
  std::condition_variable made_, free_;
  std::int64_t started_ = 0, taken_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

template <class Dataset>
class DataLoader {
 public:
  using Batch = typename Prefetcher<Dataset>::Batch;

  // Throws ValueError for a batch size or prefetch factor below 1 or a negative number of workers.
  DataLoader(Dataset dataset, DataLoaderOptions options = {})
      : dataset_(std::make_shared<const Dataset>(std::move(dataset))), options_(options) {
    if (options.batch_size() < 1) fail<ValueError>("DataLoader: batch_size must be at least 1, but is ", options.batch_size());
    if (options.workers() < 0) fail<ValueError>("DataLoader: workers must not be negative, but is ", options.workers());
    if (options.prefetch_factor() < 1) fail<ValueError>("DataLoader: prefetch_factor must be at least 1, but is ", options.prefetch_factor());
    if (!options_.seed()) options_.seed(default_generator().below(std::uint64_t(1) << 63));
  }

  // The number of batches of an epoch.
  std::int64_t size() const {
    const std::int64_t n = dataset_->size(), b = options_.batch_size();
    return options_.drop_last() ? n / b : (n + b - 1) / b;
  }
  const Dataset& dataset() const { return *dataset_; }
  const DataLoaderOptions& options() const { return options_; }
  // The epoch of the next loop; counted by loops, and set where a training is resumed.
  std::uint64_t epoch() const { return epoch_; }
  void set_epoch(std::uint64_t epoch) { epoch_ = epoch; }

  // What is at hand in a loop. A loop that is left early takes its workers down with its iterator.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = Batch*;
    using reference = Batch&;

    explicit Iterator(std::shared_ptr<Prefetcher<Dataset>> from) : from_(std::move(from)) { ++*this; }
    Batch& operator*() { return *batch_; }
    Batch* operator->() { return &*batch_; }
    Iterator& operator++() {
      batch_.reset();  // its memory may serve the next
      batch_ = from_->next();
      return *this;
    }
    struct End {};
    friend bool operator==(const Iterator& i, End) { return !i.batch_; }
    friend bool operator!=(const Iterator& i, End) { return bool(i.batch_); }

   private:
    std::shared_ptr<Prefetcher<Dataset>> from_;
    std::optional<Batch> batch_;
  };
  Iterator begin() {
    return Iterator(std::make_shared<Prefetcher<Dataset>>(Epoch<Dataset>(dataset_, options_, epoch_++), options_.workers(),
                                                          options_.prefetch_factor()));
  }
  typename Iterator::End end() const { return {}; }

 private:
  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  std::uint64_t epoch_ = 0;
};

}  // namespace sinter
