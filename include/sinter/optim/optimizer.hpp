// SPDX-License-Identifier: MIT
// What all optimizers share: parameter groups, state by parameter, zero_grad(), step(), saving and loading. An optimizer
// adds its options, the names of its state and the rule of one element. https://pytorch.org/docs/stable/optim.html
#pragma once

#include <string>
#include <type_traits>

#include "sinter/core/state_dict.hpp"
#include "sinter/optim/parameters.hpp"
#include "sinter/optim/grad_norm.hpp"

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

// Derived has `name`, `slots(options)` (the names of its state tensors), `initial(options)` (their first value) and
// `update(options, updates)`. Options has lr(), visit(), check().
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
  }

  // Forgets the gradients, so that the next backward starts anew.
  void zero_grad() {
    for (Group& g : groups_)
      for (const auto& p : g.params) p->grad.reset();
  }

  // Updates every parameter that has a gradient.
  void step() { step_scaled(1); }
  // The same with gradients scaled so that the norm of them all together, which is returned, is at most the clip's: what
  // clip_grad_norm_() before step() does. But the factor is applied as the update reads the gradients, which saves a pass over
  // them and leaves .grad() as it was. opt.step(optim::ClipGradNorm(1.0)). Throws ValueError as clip_grad_norm_() does.
  double step(const ClipGradNorm& clip) {
    CachedVector<Ref<TensorImpl>> grads;
    for (const Group& g : groups_)
      for (const auto& p : g.params)
        if (p->grad) grads.push_back(p->grad);
    const auto [norm, factor] = clip.norm_and_factor(Derived::name, grads);
    step_scaled(factor);
    return norm;
  }

  // A copy of options and state: "param_groups.0.lr", "state.0.step", "state.0.exp_avg", ... with parameters counted through all groups.
  StateDict state_dict() const {
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
    });
    return out;
  }

  // Takes options and state over. Throws ValueError or ShapeError where they do not fit these parameters; nothing is
  // changed then.
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
      return *static_cast<const double*>((*t)->data);
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
          s.slot[k++] = dense_clone(**t, (*t)->dtype);
          ++used;
        }
      }
    if (used != state.size())
      fail<ValueError>(Derived::name, ": load_state_dict: ", state.size() - used, " of ", state.size(),
                       " entries belong to no parameter or option here");
    groups_ = std::move(groups);
    states_ = std::move(states);
  }

 private:
  struct State {
    std::int64_t step = 0;
    Ref<TensorImpl> slot[max_slots];
  };
  template <class Self, class F>
  static void each_state(Self& self, F f) {
    std::size_t at = 0;
    for (std::size_t g = 0; g < self.groups_.size(); ++g)
      for (std::size_t i = 0; i < self.states_[g].size(); ++i)
        f("state." + std::to_string(at++) + '.', self.groups_[g], self.states_[g][i], *self.groups_[g].params[i]);
  }

  void step_scaled(double grad_scale) {
    for (const Group& g : groups_)  // before anything is changed
      for (std::size_t i = 0; i < g.params.size(); ++i) check_grad(i, *g.params[i]);
    for (std::size_t g = 0; g < groups_.size(); ++g) step_group(groups_[g], states_[g], grad_scale);
  }
  static void check_grad(std::size_t i, const TensorImpl& p) {
    if (p.grad && (p.grad->dtype != p.dtype || !same_shape(*p.grad, p)))
      fail<ShapeError>(Derived::name, ": parameter ", i, " is a ", p.dtype, " of shape ", p.shape(), ", its gradient a ", p.grad->dtype,
                       " of shape ", p.grad->shape());
  }
  void step_group(Group& group, std::vector<State>& states, double grad_scale) {
    CachedVector<Ref<TensorImpl>> copies;  // of what is not dense
    const auto dense = [&](const Ref<TensorImpl>& t) {
      if (is_dense(*t)) return t.get();
      copies.push_back(dense_clone(*t, t->dtype));
      return copies.back().get();
    };
    Updates updates;
    updates.grad_scale = grad_scale;
    updates.reserve(states.size());
    const int slots = Derived::slots(group.options).size();
    for (std::size_t i = 0; i < states.size(); ++i) {
      const Ref<TensorImpl>& p = group.params[i];
      if (!p->grad) continue;
      State& s = states[i];
      Update u;
      for (int k = 0; k < slots; ++k) {
        if (!s.slot[k]) s.slot[k] = filled(*p, Derived::initial(group.options));
        u.slot[k] = s.slot[k]->data;
      }
      u.p = dense(p);
      u.g = dense(p->grad);
      u.step = ++s.step;
      updates.push_back(u);
    }
    if (updates.empty()) return;
    Derived::update(group.options, updates);
    std::size_t at = 0;
    for (const auto& p : group.params) {
      if (!p->grad) continue;
      if (updates[at].p != p.get()) copy_elements(*p, *updates[at].p);
      p->storage->version.fetch_add(1, std::memory_order_relaxed);
      ++at;
    }
  }
  static Ref<TensorImpl> filled(const TensorImpl& like, double value) {
    Ref<TensorImpl> t = empty_dense(state_dtype(like.dtype), like.shape());
    const std::int64_t n = t->numel();
    if (t->dtype == DType::float64) std::fill_n(static_cast<double*>(t->data), n, value);
    else std::fill_n(static_cast<float*>(t->data), n, float(value));
    return t;
  }

  std::vector<Group> groups_;
  std::vector<std::vector<State>> states_;
};

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
