// SPDX-License-Identifier: MIT
// The kernels of a statement that have not run yet. Those that walk the same rows, each reading at most the results that
// earlier ones have for the same row, run as one pass over memory: all of them on a few rows, which then lie in the cache,
// before the next rows. It is the loops that change places; the kernels do not know.
#pragma once

#include <new>

#include "sinter/eval/driver.hpp"
#include "sinter/eval/operands.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// A kernel with all that it needs, but for the memory of its targets.
struct Stage {
  static constexpr std::size_t plan_bytes = 512;
  Space space;  // not collapsed: its first dimensions are the rows
  Kernel kernel;
  int block;
  int held = 0;
  alignas(Ref<Storage>) unsigned char memory[sizeof(Ref<Storage>) * max_sources];  // `held` handles: of its sources
  alignas(64) unsigned char plan[plan_bytes];

  Stage(const Space& s, Kernel k, int b) : kernel(k), block(b) { space.copy(s); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() {
    for (int i = 0; i < held; ++i) std::launder(reinterpret_cast<Ref<Storage>*>(memory))[i].~Ref<Storage>();
  }
  void hold(const Ref<Storage>& s) { new (memory + sizeof(s) * std::size_t(held++)) Ref<Storage>(s); }

  // Its space is of no use afterwards.
  void run() {
    const Target first = space.target[0];
    space.collapse();
    Driver(space, kernel, plan, block).run();
    if (space.scale != 1) space.multiply(first.data, first.numel, space.scale);
  }
};

// The first `dims` dimensions of some stages seen as one, the rows, and how many of them to take at a time.
struct RowShape {
  int dims = 0;
  std::int64_t rows = 1, step = 1;
};

class Stages {
 public:
  static constexpr int limit = 8;

  Stages() {}
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;
  ~Stages() { clear(); }
  int count() const { return count_; }

  // Keeps a kernel for later. 
  Stage& add(const Space& space, Kernel kernel, const void* plan, std::size_t bytes, int block) {
    if (count_ == limit) run();
    Stage& s = *new (memory_ + sizeof(Stage) * std::size_t(count_++)) Stage(space, kernel, block);
    std::memcpy(s.plan, plan, bytes);
    return s;
  }
  Stage* last() { return count_ > 0 ? &at(count_ - 1) : nullptr; }
  // Runs all that was kept, in order. Returns how many ran together with others in one pass.
  int run() {
    int together = 0;
    for (int begin = 0, end; begin < count_; begin = end) {
      RowShape shape, wider;
      for (end = begin + 1; end < count_ && match(begin, end + 1, wider); ++end) shape = wider;
      if (end == begin + 1) {
        at(begin).run();
      } else {
        run_rows(begin, end, shape);
        together += end - begin;
      }
    }
    clear();
    return together;
  }

 private:
  static constexpr std::int64_t cached_bytes = 256 << 10;  // of all operands that a few rows read and write
  static constexpr std::int64_t longest_row = 512 << 10;   // beyond, a row does not stay in the cache from stage to stage
  static constexpr std::int64_t group_limit = 64;

  Stage& at(int i) { return *std::launder(reinterpret_cast<Stage*>(memory_ + sizeof(Stage) * std::size_t(i))); }
  void clear() {
    for (int i = 0; i < count_; ++i) at(i).~Stage();
    count_ = 0;
  }

  // Limits `dims` to those along which operands a and b, the same memory, lie at the same place. Two that fold into the
  // same elements do not disturb each other.
  [[gnu::noinline]] static void limit_dims(int& dims, const std::int64_t* size, const std::int64_t* a, const std::int64_t* b, bool both_fold) {
    for (int d = 0; d < dims; ++d)
      if (size[d] != 1 && (a[d] != b[d] || (a[d] == 0 && !both_fold))) dims = d;
  }
  // The stride of rows made of the first dimensions; limits their number to those that an operand walks as one.
  [[gnu::noinline]] static std::int64_t row_stride(int& dims, const std::int64_t* size, const std::int64_t* stride) {
    std::int64_t inner = 0, extent = 1;
    bool any = false;
    for (int d = dims - 1; d >= 0; --d) {
      if (size[d] == 1) continue;
      if (any && stride[d] != inner * extent) {  // not one with those within it: they are no rows, then
        dims = d + 1;
        return row_stride(dims, size, stride);
      }
      if (!any) inner = stride[d];
      any = true;
      extent *= size[d];
    }
    return inner;
  }

  // Whether the stages [begin, end) may run row by row, and how. (Cold, as all that prepares passes over much memory: small code.)
  [[gnu::cold]] bool match(int begin, int end, RowShape& shape) {
    const Space& first = at(begin).space;
    int dims = first.rank;
    for (int i = begin + 1; i < end; ++i) {
      const Space& s = at(i).space;
      dims = std::min(dims, s.rank);
      for (int d = 0; d < dims; ++d)
        if (s.size[d] != first.size[d]) dims = d;
    }
    for (int i = begin; i < end; ++i)
      for (int t = 0; t < at(i).space.targets; ++t) {
        const Target& w = at(i).space.target[t];
        if (!w.wanted) continue;
        for (int j = begin; j < end; ++j) {
          if (j == i) continue;
          const Space& s = at(j).space;
          for (int k = 0; k < s.sources; ++k)
            if (s.source[k].data == w.data) limit_dims(dims, first.size, w.stride, s.source[k].stride, false);
          for (int k = 0; k < s.targets; ++k)
            if (const Target& v = s.target[k]; v.wanted && v.data == w.data)
              limit_dims(dims, first.size, w.stride, v.stride, w.folds && v.folds);
        }
        if (at(i).space.scale != 1) limit_dims(dims, first.size, w.stride, w.stride, false);
      }
    for (int i = begin; i < end; ++i) {
      const Space& s = at(i).space;
      for (int k = 0; k < s.sources; ++k) row_stride(dims, first.size, s.source[k].stride);
      for (int t = 0; t < s.targets; ++t)
        if (s.target[t].wanted) row_stride(dims, first.size, s.target[t].stride);
    }
    shape.dims = dims;
    shape.rows = 1;
    for (int d = 0; d < dims; ++d) shape.rows *= first.size[d];
    if (shape.rows < 2) return false;
    const std::int64_t bytes = bytes_of_row(begin, end, dims);
    shape.step = std::max<std::int64_t>(1, std::min(shape.rows, cached_bytes / std::max<std::int64_t>(1, bytes)));
    return bytes <= longest_row;
  }
  // What one row touches, memory that several stages share counted once.
  [[gnu::cold]] std::int64_t bytes_of_row(int begin, int end, int dims) {
    std::int64_t bytes = 0;
    for (int i = begin; i < end; ++i) {
      const Space& s = at(i).space;
      const auto add = [&](const std::int64_t* stride, int width) {
        std::int64_t n = width;
        for (int d = dims; d < s.rank; ++d) n *= stride[d] == 0 ? 1 : s.size[d];
        bytes += n;
      };
      for (int k = 0; k < s.sources; ++k)
        if (!known(begin, i, s.source[k].data)) add(s.source[k].stride, s.source[k].bytes);
      for (int t = 0; t < s.targets; ++t)
        if (s.target[t].wanted && !known(begin, i, s.target[t].data)) add(s.target[t].stride, s.target[t].bytes);
    }
    return bytes;
  }
  [[gnu::noinline]] bool known(int begin, int end, const char* data) {
    for (int i = begin; i < end; ++i) {
      const Space& s = at(i).space;
      for (int k = 0; k < s.sources; ++k)
        if (s.source[k].data == data) return true;
      for (int t = 0; t < s.targets; ++t)
        if (s.target[t].wanted && s.target[t].data == data) return true;
    }
    return false;
  }

  // A stage on a few rows: the same space with the rows as one dimension, from which pointers move on.
  struct OnRows {
    Space space;  // collapsed
    std::int64_t source_step[max_sources], target_step[max_leaves];  // bytes from row to row
    char* base[max_leaves];                                          // where the targets begin for this group of rows
    std::int64_t inner = 1;                                          // elements of the folded target in a row

    [[gnu::cold]] void prepare(const Stage& stage, int dims, std::int64_t count) {
      const Space& from = stage.space;
      space.rank = from.rank - dims + 1;
      space.sources = from.sources;
      space.targets = from.targets;
      space.size[0] = count;
      for (int d = dims; d < from.rank; ++d) space.size[d - dims + 1] = from.size[d];
      int same = dims;
      for (int k = 0; k < from.sources; ++k) {
        space.source[k] = from.source[k];
        space.source[k].stride[0] = row_stride(same, from.size, from.source[k].stride);
        source_step[k] = space.source[k].stride[0] * from.source[k].bytes;
        for (int d = dims; d < from.rank; ++d) space.source[k].stride[d - dims + 1] = from.source[k].stride[d];
      }
      for (int t = 0; t < from.targets; ++t) {
        space.target[t] = from.target[t];
        space.target[t].stride[0] = from.target[t].wanted ? row_stride(same, from.size, from.target[t].stride) : 0;
        target_step[t] = space.target[t].stride[0] * from.target[t].bytes;
        for (int d = dims; d < from.rank; ++d) space.target[t].stride[d - dims + 1] = from.target[t].stride[d];
      }
      if (stage.space.scale != 1) inner = space.target[0].stride[0];
      space.collapse();
    }
    void run(const Stage& stage, std::int64_t row) {
      for (int k = 0; k < space.sources; ++k) space.source[k].data = stage.space.source[k].data + row * source_step[k];
      for (int t = 0; t < space.targets; ++t) space.target[t].data = base[t] + row * target_step[t];
      Driver(space, stage.kernel, stage.plan, stage.block).serial();
    }
  };

  // What all rows fold into (the gradient of a bias, say), and the memory that each group of rows has for it.
  struct Shared {
    const Target* target;
    Ref<Storage> memory;
    char* of(std::int64_t group) const { return static_cast<char*>(memory->data) + group * target->numel * target->bytes; }
  };

  [[gnu::cold]] void run_rows(int begin, int end, const RowShape& shape) {
    std::int64_t total = 0, shared_elements = 0;
    Shared shared[limit * max_leaves];
    int shared_count = 0;
    for (int i = begin; i < end; ++i) {
      const Space& s = at(i).space;
      total = std::max(total, s.numel());
      for (int t = 0; t < s.targets; ++t)
        if (s.target[t].wanted && is_shared(s, s.target[t], shape.dims) && !find(shared, shared_count, s.target[t].data)) {
          shared[shared_count++].target = &s.target[t];
          shared_elements += s.target[t].numel;
        }
    }
    // A group of rows is a unit of work; neither the groups nor the order in which their sums are folded depend on threads.
    const std::int64_t steps = (shape.rows + shape.step - 1) / shape.step;
    std::int64_t groups = std::min(steps, total < parallel_threshold ? 1 : group_limit);
    if (shared_elements > 0) groups = std::max<std::int64_t>(1, std::min(groups, total / (2 * shared_elements)));
    for (int k = 0; k < shared_count && groups > 1; ++k)
      shared[k].memory = Storage::allocate(std::size_t(groups * shared[k].target->numel * shared[k].target->bytes));

    parallel_for(groups, total >= parallel_threshold, [&](std::int64_t g) {
      OnRows on[limit];
      for (int k = 0; k < shared_count && groups > 1; ++k) shared[k].target->fill(shared[k].of(g), shared[k].target->numel);
      for (int i = begin; i < end; ++i)
        for (int t = 0; t < at(i).space.targets; ++t) {
          const Target& w = at(i).space.target[t];
          const Shared* own = groups > 1 && w.wanted ? find(shared, shared_count, w.data) : nullptr;
          on[i - begin].base[t] = own ? own->of(g) : w.data;
        }
      std::int64_t prepared = 0;
      for (std::int64_t step = steps * g / groups; step < steps * (g + 1) / groups; ++step) {
        const std::int64_t row = step * shape.step, n = std::min(shape.step, shape.rows - row);
        for (int i = begin; i < end; ++i) {
          OnRows& rows = on[i - begin];
          if (n != prepared) rows.prepare(at(i), shape.dims, n);
          rows.run(at(i), row);
          if (const Space& s = at(i).space; s.scale != 1) s.multiply(rows.base[0] + row * rows.target_step[0], n * rows.inner, s.scale);
        }
        prepared = n;
      }
    });
    for (int k = 0; k < shared_count && groups > 1; ++k) fold_partial(*shared[k].target, shared[k].of(0), groups);
  }
  static bool is_shared(const Space& s, const Target& t, int dims) {
    for (int d = 0; d < dims; ++d)
      if (s.size[d] != 1 && t.stride[d] == 0) return true;
    return false;
  }
  static const Shared* find(const Shared* shared, int n, const char* data) {
    for (int k = 0; k < n; ++k)
      if (shared[k].target->data == data) return &shared[k];
    return nullptr;
  }

  int count_ = 0;
  alignas(Stage) unsigned char memory_[sizeof(Stage) * limit];
};

// A fused kernel: for the CPU, and for a device where this file is compiled for one.
struct FusedKernel {
  Kernel cpu;
  int block;  // lanes that `cpu` takes at a time
  void (*device)(Space& space, const void* plan);
};
[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_host_only(Device d) {
  fail<DeviceError>("an expression on ", d, " in a file that was not compiled by nvcc: move the statement to a .cu file");
}

// Runs a kernel now, or keeps it for later where there is a statement under way that wants so.
[[gnu::noinline]] inline void launch(Space& space, const FusedKernel& kernel, const void* plan, std::size_t bytes, const Operand* in, int n, Stages* later) {
  if (!space.device.is_cpu()) {
    if (!kernel.device) fail_host_only(space.device);
    return kernel.device(space, plan);
  }
  space.clear_folds();
  // What is small is in the cache anyway, unless it stands between what is not.
  if (later && bytes <= Stage::plan_bytes && (later->count() > 0 || space.numel() >= parallel_threshold)) {
    Stage& s = later->add(space, kernel.cpu, plan, bytes, kernel.block);
    for (int k = 0; k < n; ++k)
      if (*in[k]) s.hold((*in[k])->storage);
    return;
  }
  if (later) later->run();
  const Target first = space.target[0];
  space.collapse();
  Driver(space, kernel.cpu, plan, kernel.block).run();
  if (space.scale != 1) space.multiply(first.data, first.numel, space.scale);
}
// What flows into the kernel that was kept last is kept as well.
template <class... Tensor>
void hold(Stages* later, const Tensor&... upstream) {
  if (Stage* s = later ? later->last() : nullptr) (s->hold(upstream->storage), ...);
}

}  // namespace SINTER_ABI
}  // namespace sinter
