// SPDX-License-Identifier: MIT
// What all optimizers share: parameter groups, state by parameter, zero_grad(), step(), saving and loading. An optimizer
// adds its options, the names of its state and the rule of one element. https://pytorch.org/docs/stable/optim.html
#pragma once

#include <string>
#include <type_traits>

#include "sinter/core/state_dict.hpp"
#include "sinter/device/dense.hpp"
#include "sinter/optim/grad_norm.hpp"
#include "sinter/optim/parameters.hpp"

namespace sinter {
namespace optim {

// Throws ValueError naming option and value unless `good`.
inline void check_option(bool good, const char* optimizer, const char* name, double value) {
  if (!good) fail<ValueError>(optimizer, ": invalid ", name, " value: ", value);
}

inline Ref<TensorImpl> state_scalar(double value) {
  Ref<TensorImpl> t = TensorImpl::empty(DType::float64, Shape<0>{});
  *static_cast<double*>(t->data) = value;
  return t;
}
inline double number_of(const TensorImpl& scalar) {
  if (!scalar.device().is_cpu()) return number_of(*dense_clone(scalar, scalar.dtype, Device::cpu()));
  return *static_cast<const double*>(scalar.data);
}

// A state's first value.
[[gnu::noinline]] inline Ref<TensorImpl> filled(const TensorImpl& like, double value) {
  Ref<TensorImpl> t = empty_dense(state_dtype(like.dtype), like.shape(), like.device());
  const std::int64_t n = t->numel();
  const bool wide = t->dtype == DType::float64;
  if (t->device().is_cuda()) fill_on_device(t->data, t->dtype, n, wide ? pattern_of(value) : pattern_of(float(value)));
  else if (wide) std::fill_n(static_cast<double*>(t->data), n, value);
  else std::fill_n(static_cast<float*>(t->data), n, float(value));
  return t;
}

// An option of all optimizers: parameters of half and bfloat16 on CUDA have a float copy in the state ("master_weight"), which
// small steps add up in; PyTorch has no such option. A parameter that has been written to otherwise counts as it is.
template <class Self>
class MasterWeights {
 public:
  bool master_weights() const { return master_weights_; }
  Self& master_weights(bool v) { return master_weights_ = v, static_cast<Self&>(*this); }

 private:
  bool master_weights_ = true;
};

// The names of an optimizer's state tensors.
class Slots {
 public:
  Slots() = default;
  Slots(std::initializer_list<const char*> names) {
    for (const char* name : names) add(name);
  }
  void add(const char* name) { names_[count_++] = name; }
  const char* const* begin() const { return names_; }
  const char* const* end() const { return names_ + count_; }
  int size() const { return count_; }

 private:
  const char* names_[max_slots] = {};
  int count_ = 0;
};

// Parameters that share their options; a scheduler changes options.lr().
template <class Options>
struct ParamGroup {
  ParameterList params;
  Options options;
  double initial_lr = -1;  // set by the first scheduler
};

inline namespace SINTER_ABI {

// Derived has `name`, `slots(options)` (the names of its state tensors), `initial(options)` (their first value),
// `numbers(options)` (what its rule reads) and `with_rule(options, f)`, which calls f(RuleConstant). Options has lr(), visit(),
// check(), master_weights().
//
// On CUDA a step is a launch over all parameters, and nothing in it is the host's to know: a CUDA graph of a step counts on, and
// goes by set_lr() and schedulers that are called between its launches. It records no parameter's first step.
template <class Derived, class OptionsType>
class Optimizer {
 public:
  using Options = OptionsType;
  using Group = ParamGroup<Options>;

  Optimizer(ParameterList params, const Options& options) { add_param_group(std::move(params), options); }

  // Throws ValueError for no parameters, integers, results of other ops, or a parameter that another group has.
  void add_param_group(ParameterList params, const Options& options) {
    options.check();
    if (params.empty()) fail<ValueError>(Derived::name, ": there are no parameters to optimize");
    for (const auto& p : params) {
      if (p->dtype < DType::float16) fail<ValueError>(Derived::name, ": a parameter of dtype ", p->dtype, " cannot be optimized");
      if (p->node) fail<ValueError>(Derived::name, ": a parameter of shape ", p->shape(), " is the result of ", p->node->name, ", not a leaf");
      for (const Group& g : groups_)
        if (std::find(g.params.begin(), g.params.end(), p) != g.params.end())
          fail<ValueError>(Derived::name, ": a parameter of shape ", p->shape(), " is in two groups");
    }
    read_steps();
    on_devices_.forget();
    states_.emplace_back(params.size());
    groups_.push_back({std::move(params), options});
  }
  // With the options of the first group.
  void add_param_group(ParameterList params) { add_param_group(std::move(params), Options(groups_[0].options)); }

  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }

  // The learning rate of the first group; of all groups.
  double lr() const { return groups_[0].options.lr(); }
  void set_lr(double lr) {
    check_option(lr >= 0, Derived::name, "lr", lr);
    for (Group& g : groups_) g.options.lr(lr);
    options_changed();
  }
  // For who has changed the options in groups() and launches a graph next, which is not told otherwise.
  void options_changed() {
    if (on_devices_.counting()) on_devices_.numbers_changed(Derived::name, numbers());
  }

  // Forgets the gradients, so that the next backward starts anew.
  void zero_grad() {
    for (Group& g : groups_)
      for (const auto& p : g.params) p->grad.reset();
  }

  // Updates every parameter that has a gradient.
  void step() { step_scaled({0, 1}); }
  // The same with gradients scaled so that the norm of them all together, which is returned, is at most the clip's: what
  // clip_grad_norm_() before step() does. But the factor is applied as the update reads the gradients, which saves a pass over
  // them and leaves .grad() as it was. opt.step(optim::ClipGradNorm(1.0)). Throws ValueError as clip_grad_norm_() does.
  // On a device the norm stays there until it is read.
  GradNorm step(const ClipGradNorm& clip) {
    CachedVector<Ref<TensorImpl>> grads;
    for (const Group& g : groups_)
      for (const auto& p : g.params)
        if (p->grad) grads.push_back(p->grad);
    const NormAndFactor of = clip.norm_and_factor(Derived::name, grads, norm_table_);
    step_scaled(of);
    return of.norm;
  }

  // A copy of options and state: "param_groups.0.lr", "state.0.step", "state.0.exp_avg", ... with parameters counted through all groups.
  StateDict state_dict() const {
    read_steps();
    StateDict out;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::string prefix = "param_groups." + std::to_string(g) + '.';
      Options o = groups_[g].options;
      o.visit([&](const char* name, auto& value) { out.insert(prefix + name, state_scalar(double(value))); });
      if (groups_[g].initial_lr >= 0) out.insert(prefix + "initial_lr", state_scalar(groups_[g].initial_lr));
    }
    each_state(*this, [&](const std::string& prefix, const Group& g, const State& s, const TensorImpl& p) {
      if (s.step == 0) return;
      out.insert(prefix + "step", state_scalar(double(s.step)));
      int k = 0;
      for (const char* slot : Derived::slots(g.options)) {
        out.insert(prefix + slot, s.slot[k] ? dense_clone(*s.slot[k], s.slot[k]->dtype) : filled(p, Derived::initial(g.options)));
        ++k;
      }
      if (s.master) out.insert(prefix + master, dense_clone(*s.master, s.master->dtype));
    });
    return out;
  }

  // Takes options and state over, from any device. Throws ValueError or ShapeError where they do not fit these parameters; nothing
  // is changed then. State on a device keeps its memory, and graphs of a step stay valid.
  void load_state_dict(const StateDict& state) {
    std::vector<Group> groups = groups_;
    std::vector<std::vector<State>> states;
    std::size_t used = 0;
    const auto number = [&](const std::string& name) {
      const Ref<TensorImpl>* t = state.find(name);
      if (!t) fail<ValueError>(Derived::name, ": load_state_dict: \"", name, "\" is missing");
      if ((*t)->dtype != DType::float64 || (*t)->rank != 0)
        fail<ValueError>(Derived::name, ": load_state_dict: \"", name, "\" is a ", (*t)->dtype, " of shape ", (*t)->shape(), ", not a float64 scalar");
      ++used;
      return number_of(**t);
    };
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::string prefix = "param_groups." + std::to_string(g) + '.';
      groups[g].options.visit([&](const char* name, auto& value) { value = std::decay_t<decltype(value)>(number(prefix + name)); });
      if (state.contains(prefix + "initial_lr")) groups[g].initial_lr = number(prefix + "initial_lr");
      groups[g].options.check();
      states.emplace_back(groups[g].params.size());
    }
    std::size_t at = 0;
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (std::size_t i = 0; i < groups[g].params.size(); ++i) {
        const std::string prefix = "state." + std::to_string(at++) + '.';
        if (!state.contains(prefix + "step")) continue;
        State& s = states[g][i];
        s.step = std::int64_t(number(prefix + "step"));
        if (s.step < 1) fail<ValueError>(Derived::name, ": load_state_dict: \"", prefix, "step\" is ", s.step);
        const TensorImpl& p = *groups[g].params[i];
        int k = 0;
        for (const char* slot : Derived::slots(groups[g].options)) {
          const Ref<TensorImpl>* t = state.find(prefix + slot);
          if (!t) fail<ValueError>(Derived::name, ": load_state_dict: \"", prefix, slot, "\" is missing");
          if ((*t)->dtype != state_dtype(p.dtype) || !same_shape(**t, p))
            fail<ShapeError>(Derived::name, ": load_state_dict: \"", prefix, slot, "\" is a ", (*t)->dtype, " of shape ",
                             (*t)->shape(), ", but the parameter is a ", p.dtype, " of shape ", p.shape());
          s.slot[k++] = dense_clone(**t, (*t)->dtype, p.device());
          ++used;
        }
        if (const Ref<TensorImpl>* t = state.find(prefix + master)) {
          if ((*t)->dtype != DType::float32 || !same_shape(**t, p))
            fail<ShapeError>(Derived::name, ": load_state_dict: \"", prefix, master, "\" is a ", (*t)->dtype, " of shape ", (*t)->shape(),
                             ", but the parameter is a ", p.dtype, " of shape ", p.shape());
          if (has_master(groups[g].options, p)) s.master = dense_clone(**t, (*t)->dtype, p.device());
          ++used;
        }
      }
    if (used != state.size())
      fail<ValueError>(Derived::name, ": load_state_dict: ", state.size() - used, " of ", state.size(),
                       " entries belong to no parameter or option here");
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (std::size_t i = 0; i < states[g].size(); ++i) keep_memory(states_[g][i], states[g][i], Derived::initial(groups[g].options));
    groups_ = std::move(groups);
    states_ = std::move(states);
    if (on_devices_.counting()) on_devices_.write_steps(steps());
    options_changed();
  }

 private:
  struct State {
    mutable std::int64_t step = 0;  // as far as known here: devices count on their own
    Ref<TensorImpl> slot[max_slots], master;
  };
  static constexpr const char* master = "master_weight";
  static bool has_master(const Options& o, const TensorImpl& p) {
    return o.master_weights() && p.device().is_cuda() && state_dtype(p.dtype) != p.dtype;
  }
  template <class Self, class F>
  static void each_state(Self& self, F f) {
    std::size_t at = 0;
    for (std::size_t g = 0; g < self.groups_.size(); ++g)
      for (std::size_t i = 0; i < self.states_[g].size(); ++i)
        f("state." + std::to_string(at++) + '.', self.groups_[g], self.states_[g][i], *self.groups_[g].params[i]);
  }

  CachedVector<Numbers> numbers() const {
    CachedVector<Numbers> all;
    for (const Group& g : groups_) all.push_back(Derived::numbers(g.options));
    return all;
  }
  CachedVector<std::int64_t> steps() const {
    CachedVector<std::int64_t> all;
    for (const auto& group : states_)
      for (const State& s : group) all.push_back(s.step);
    return all;
  }
  // From the devices that count them.
  void read_steps() const {
    if (!on_devices_.counting()) return;
    on_devices_.each_count([&](Device device, const CachedVector<std::int64_t>& counted) {
      std::size_t at = 0;
      for (std::size_t g = 0; g < groups_.size(); ++g)
        for (std::size_t i = 0; i < states_[g].size(); ++i, ++at)
          if (groups_[g].params[i]->device() == device) states_[g][i].step = counted[at];
    });
  }
  // State on a device that is replaced by `fresh` takes that over instead.
  static void keep_memory(State& old, State& fresh, double initial) {
    const auto keep = [](Ref<TensorImpl>& from, Ref<TensorImpl>& to, double first) {
      if (!from || !from->device().is_cuda()) return;
      if (!to) to = filled(*from, first);
      copy_elements(*from, *to);
      to = from;
    };
    for (int k = 0; k < max_slots; ++k) keep(old.slot[k], fresh.slot[k], initial);
    keep(old.master, fresh.master, 0);
  }

  void step_scaled(const NormAndFactor& of) {
    for (const Group& g : groups_)  // before anything is changed
      for (std::size_t i = 0; i < g.params.size(); ++i) check_grad(i, *g.params[i]);
    on_devices_.begin();
    CachedVector<Ref<TensorImpl>> copies;  // of what is not dense
    std::int32_t index = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) step_group(std::int32_t(g), of.factor, index, copies);
    if (!on_devices_.begun()) return;
    const double* there = of.norm.there() ? static_cast<const double*>(of.norm.there()->data) + 1 : nullptr;
    on_devices_.run(Derived::name, numbers(), steps(), FactorOnDevices(of.factor, there));
    std::size_t at = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (std::size_t i = 0; i < states_[g].size(); ++i) {
        const Ref<TensorImpl>& p = groups_[g].params[i];
        if (!p->grad || p->device().is_cpu()) continue;
        ++states_[g][i].step;
        if (!is_dense(*p)) copy_elements(*p, *copies[at++]);
        if (!is_dense(*p->grad)) ++at;
        p->storage->version.fetch_add(1, std::memory_order_relaxed);
      }
  }
  static void check_grad(std::size_t i, const TensorImpl& p) {
    if (p.grad && (p.grad->dtype != p.dtype || !same_shape(*p.grad, p)))
      fail<ShapeError>(Derived::name, ": parameter ", i, " is a ", p.dtype, " of shape ", p.shape(), ", its gradient a ", p.grad->dtype,
                       " of shape ", p.grad->shape());
  }
  static TensorImpl* dense(const Ref<TensorImpl>& t, CachedVector<Ref<TensorImpl>>& copies) {
    if (is_dense(*t)) return t.get();
    copies.push_back(dense_clone(*t, t->dtype));
    return copies.back().get();
  }
  // Updates those of the group that are on the CPU, and lists the others for on_devices_.
  void step_group(std::int32_t g, double grad_scale, std::int32_t& index, CachedVector<Ref<TensorImpl>>& copies_there) {
    const Group& group = groups_[std::size_t(g)];
    std::vector<State>& states = states_[std::size_t(g)];
    CachedVector<Ref<TensorImpl>> copies;
    Updates updates;
    updates.grad_scale = grad_scale;
    updates.reserve(states.size());
    const int slots = Derived::slots(group.options).size();
    for (std::size_t i = 0; i < states.size(); ++i, ++index) {
      const Ref<TensorImpl>& p = group.params[i];
      if (!p->grad) continue;
      State& s = states[i];
      Update u;
      for (int k = 0; k < slots; ++k) {
        if (!s.slot[k]) s.slot[k] = begun(*p, Derived::initial(group.options));
        u.slot[k] = s.slot[k]->data;
      }
      if (p->device().is_cuda()) {
        list_on_device(g, index, u, *group.params[i], s, dense(p, copies_there), dense(p->grad, copies_there));
        continue;
      }
      u.p = dense(p, copies);
      u.g = dense(p->grad, copies);
      u.step = ++s.step;
      updates.push_back(u);
    }
    if (updates.empty()) return;
    Derived::with_rule(group.options, [&](auto kind) { update_all<decltype(kind)::value>(updates, Derived::numbers(group.options)); });
    std::size_t at = 0;
    for (const auto& p : group.params) {
      if (!p->grad || p->device().is_cuda()) continue;
      if (updates[at].p != p.get()) copy_elements(*p, *updates[at].p);
      p->storage->version.fetch_add(1, std::memory_order_relaxed);
      ++at;
    }
  }
  [[gnu::noinline]] void list_on_device(std::int32_t g, std::int32_t index, const Update& u, const TensorImpl& p, State& s,
                                        const TensorImpl* to, const TensorImpl* grad) {
    const Options& options = groups_[std::size_t(g)].options;
    DeviceParameter row{};
    row.p = to->data, row.g = grad->data, row.n = p.numel(), row.dtype = p.dtype, row.group = g, row.index = index;
    std::copy_n(u.slot, max_slots, row.slot);
    if (!has_master(options, p)) s.master.reset();
    else if (!s.master) s.master = begun(p, 0);  // which is not what the parameter is, and so does not count yet
    row.master = s.master ? s.master->data : nullptr;
    Derived::with_rule(options, [&](auto kind) { on_devices_.add(decltype(kind)::value, p.device(), row); });
  }
  static Ref<TensorImpl> begun(const TensorImpl& p, double value) {
    if (p.device().is_cuda() && captured_on_device(p.device().index)) DeviceStep::fail_captured(Derived::name);
    return filled(p, value);
  }

  std::vector<Group> groups_;
  std::vector<std::vector<State>> states_;
  DeviceStep on_devices_;
  DeviceTable norm_table_;
};

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
