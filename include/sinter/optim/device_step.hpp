// SPDX-License-Identifier: MIT
// The part of a step that devices do: tables of the parameters there, and the numbers and counts of steps that the rules read.
// They are written when they change, so that a steady step moves nothing from the host and can be captured.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "sinter/core/copy.hpp"
#include "sinter/device/optim.hpp"

namespace sinter {
namespace optim {

inline bool same_row(const DeviceParameter& a, const DeviceParameter& b) {
  return a.p == b.p && a.g == b.g && std::equal(a.slot, a.slot + max_slots, b.slot) && a.master == b.master && a.n == b.n &&
         a.first_chunk == b.first_chunk && a.group == b.group && a.index == b.index && a.dtype == b.dtype && a.aligned == b.aligned;
}

// Parameters (or gradients alone) of one device, as its kernels read them.
template <class = void>  // templates: compiled where an optimizer is
class DeviceTableOf {
 public:
  void clear() { rows_.clear(), chunks_ = 0; }
  void add(DeviceParameter row) {
    row.first_chunk = chunks_;
    row.aligned = (reinterpret_cast<std::uintptr_t>(row.p) | reinterpret_cast<std::uintptr_t>(row.g)) % 16 == 0;
    chunks_ += (row.n + row.chunk - 1) / row.chunk;
    rows_.push_back(row);
  }
  bool empty() const { return rows_.empty(); }
  std::int32_t count() const { return std::int32_t(rows_.size()); }
  std::int64_t chunks() const { return chunks_; }

  // Rows where the device finds them, and memory for their rates.
  struct There {
    Ref<TensorImpl> memory;
    const DeviceParameter* rows;
    double* rates;
  };
  There on(Device device) {
    const std::size_t bytes = rows_.size() * sizeof(DeviceParameter), words = bytes / sizeof(double) + rows_.size() * max_rates;
    const bool captured = captured_on_device(device.index);  // a graph has a table of its own
    Ref<TensorImpl> memory = memory_;
    bool known = memory && std::size_t(memory->numel()) >= words && !captured;
    if (!known) memory = TensorImpl::empty(DType::float64, Shape<1>{{std::int64_t(words)}}, device);
    known = known && written_.size() == rows_.size() && std::equal(rows_.begin(), rows_.end(), written_.begin(), same_row);
    if (!known) write_on_device(device.index, memory->data, rows_.data(), bytes);
    if (!captured && !known) memory_ = memory, written_ = rows_;
    return {memory, static_cast<const DeviceParameter*>(memory->data), static_cast<double*>(memory->data) + bytes / sizeof(double)};
  }

 private:
  CachedVector<DeviceParameter> rows_, written_;
  std::int64_t chunks_ = 0;
  Ref<TensorImpl> memory_;
};

using DeviceTable = DeviceTableOf<>;

// Where on a device lies what gradients are multiplied by: where the norm has left it, or wherever the host's factor is put; null
// for 1.
template <class = void>
class FactorOnDevicesOf {
 public:
  FactorOnDevicesOf(double factor, const double* there = nullptr) : factor_(factor), there_(there) {}
  const double* on(Device device) {
    if (there_ || factor_ == 1) return there_;
    kept_.push_back(TensorImpl::empty(DType::float64, Shape<1>{{1}}, device));
    write_on_device(device.index, kept_.back()->data, &factor_, sizeof(double));
    return static_cast<const double*>(kept_.back()->data);
  }

 private:
  double factor_;
  const double* there_;
  CachedVector<Ref<TensorImpl>> kept_;
};

using FactorOnDevices = FactorOnDevicesOf<>;

// What an optimizer keeps on devices beside the state.
template <class = void>
class DeviceStepOf {
 public:
  // Begins the list of a step's parameters.
  void begin() {
    for (Part& part : parts_) part.table.clear();
  }
  void add(RuleKind kind, Device device, const DeviceParameter& row) {
    const bool wide = row.dtype == DType::float64;
    for (Part& part : parts_)
      if (part.device == device && part.kind == kind && part.wide == wide) return part.table.add(row);
    parts_.push_back({device, kind, wide, {}});
    parts_.back().table.add(row);
  }
  // Updates them. `steps`: how many each parameter (of all groups) has made where no device has counted yet. Throws
  // DeviceError while a graph is recorded that would have to hold on to what has not been there before.
  void run(const char* op, const CachedVector<Numbers>& numbers, const CachedVector<std::int64_t>& steps, FactorOnDevices factor) {
    for (Part& part : parts_) {
      if (part.table.empty()) continue;
      const bool captured = captured_on_device(part.device.index);
      Counts* counts = find(part.device);
      if (captured && (!counts || !same(counts->numbers, numbers))) fail_captured(op);
      if (!counts) counts = &count_on(part.device, steps);
      write_numbers(*counts, numbers);
      run(part, static_cast<const Numbers*>(counts->numbers_there->data), static_cast<std::int64_t*>(counts->steps->data), factor);
    }
  }
  // Once, by numbers of no group, without counting.
  void run_once(const Numbers& numbers, FactorOnDevices factor) {
    for (Part& part : parts_) {
      Counts c{part.device, {}, {}, {}};
      write_numbers(c, {numbers});
      run(part, static_cast<const Numbers*>(c.numbers_there->data), nullptr, factor);
    }
  }
  [[noreturn]] static void fail_captured(const char* op) {
    fail<DeviceError>(op, ": a graph cannot record the first step of a parameter, nor one behind which options were changed other "
                      "than by set_lr() or a scheduler: make such a step before, outside of the graph");
  }

  // Options have changed: steps that a graph repeats go by the new ones from here on.
  void numbers_changed(const char* op, const CachedVector<Numbers>& numbers) {
    for (Counts& c : counts_) {
      if (same(c.numbers, numbers)) continue;
      if (captured_on_device(c.device.index)) fail_captured(op);
      write_numbers(c, numbers);
    }
  }

  // f(device, the steps it has counted), after waiting for it.
  template <class F>
  void each_count(F f) const {
    for (const Counts& c : counts_) {
      CachedVector<std::int64_t> steps(std::size_t(c.steps->numel()));
      cuda_backend->copy(steps.data(), -1, c.steps->data, c.device.index, steps.size() * sizeof(std::int64_t));
      f(c.device, steps);
    }
  }
  void write_steps(const CachedVector<std::int64_t>& steps) {
    for (Counts& c : counts_) cuda_backend->copy(c.steps->data, c.device.index, steps.data(), -1, steps.size() * sizeof(std::int64_t));
  }
  bool begun() const {
    return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return !part.table.empty(); });
  }
  bool counting() const { return !counts_.empty(); }
  // There are more parameters or groups: counting begins anew in the next step.
  void forget() { parts_.clear(), counts_.clear(); }

 private:
  struct Part {
    Device device;
    RuleKind kind;
    bool wide;
    DeviceTable table;
  };
  struct Counts {
    Device device;
    Ref<TensorImpl> steps, numbers_there;
    CachedVector<Numbers> numbers;
  };
  static void run(Part& part, const Numbers* numbers, std::int64_t* steps, FactorOnDevices& factor) {
    const DeviceTable::There table = part.table.on(part.device);
    update_on_device({part.kind, part.wide, part.device.index, part.table.count(), part.table.chunks(), table.rows, numbers, steps,
                      table.rates, factor.on(part.device)});
  }
  static bool same(const CachedVector<Numbers>& a, const CachedVector<Numbers>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Numbers)) == 0;  // of doubles alone
  }
  Counts* find(Device device) {
    for (Counts& c : counts_)
      if (c.device == device) return &c;
    return nullptr;
  }
  Counts& count_on(Device device, const CachedVector<std::int64_t>& steps) {
    Counts c{device, TensorImpl::empty(DType::int64, Shape<1>{{std::int64_t(steps.size())}}, device), {}, {}};
    cuda_backend->copy(c.steps->data, device.index, steps.data(), -1, steps.size() * sizeof(std::int64_t));
    counts_.push_back(std::move(c));
    return counts_.back();
  }
  static void write_numbers(Counts& c, const CachedVector<Numbers>& numbers) {
    if (same(c.numbers, numbers)) return;
    const std::size_t bytes = numbers.size() * sizeof(Numbers);
    if (!c.numbers_there || c.numbers.size() != numbers.size())
      c.numbers_there = TensorImpl::empty(DType::float64, Shape<1>{{std::int64_t(bytes / sizeof(double))}}, c.device);
    write_on_device(c.device.index, c.numbers_there->data, numbers.data(), bytes);
    c.numbers = numbers;
  }

  std::vector<Part> parts_;
  std::vector<Counts> counts_;
};
using DeviceStep = DeviceStepOf<>;

}  // namespace optim
}  // namespace sinter
