// SPDX-License-Identifier: MIT
// What all optimizers share: parameter groups, state by parameter, zero_grad(), step(), saving and loading. An optimizer
// adds its options, the names of its state and the rule of one element. https://pytorch.org/docs/stable/optim.html
#pragma once

#include <string>
#include <type_traits>

#include "sinter/core/state_dict.hpp"
#include "sinter/optim/parameters.hpp"
#include "sinter/optim/update.hpp"

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

// Parameters that share their options; a scheduler changes options.lr().
template <class Options>
struct ParamGroup {
  ParameterList params;
  Options options;
  double initial_lr = -1;  // set by the first scheduler
};

inline namespace SINTER_ABI {

// Derived has `name`, `slots(options)` (the names of its state tensors), `initial(options)` (their first value) and
// `update<Slots>(options, updates, steps)`. Options has lr(), visit(), check().
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
  void step() {
    for (std::size_t g = 0; g < groups_.size(); ++g) step_group(groups_[g], states_[g]);
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

  void step_group(Group& group, std::vector<State>& states) {
    struct Kept {  // a parameter that is not dense is updated in a copy
      Ref<TensorImpl> p, g;
    };
    std::vector<Kept> kept;
    std::vector<Update> updates;
    std::vector<std::int64_t> steps;
    const auto slots = Derived::slots(group.options);
    for (std::size_t i = 0; i < states.size(); ++i) {  // before anything is changed
      const Ref<TensorImpl>& p = group.params[i];
      if (p->grad && (p->grad->dtype != p->dtype || !same_shape(*p->grad, *p)))
        fail<ShapeError>(Derived::name, ": parameter ", i, " is a ", p->dtype, " of shape ", p->shape(), ", its gradient a ",
                         p->grad->dtype, " of shape ", p->grad->shape());
    }
    for (std::size_t i = 0; i < states.size(); ++i) {
      const Ref<TensorImpl>& p = group.params[i];
      if (!p->grad) continue;
      State& s = states[i];
      Update u;
      int k = 0;
      for (const char* slot : slots) {
        (void)slot;
        if (!s.slot[k]) s.slot[k] = filled(*p, Derived::initial(group.options));
        u.slot[k] = s.slot[k]->data;
        ++k;
      }
      kept.push_back({densely(p), densely(p->grad)});
      u.p = kept.back().p.get();
      u.g = kept.back().g.get();
      updates.push_back(u);
      steps.push_back(++s.step);
    }
    if (updates.empty()) return;
    Derived::update(group.options, updates, steps);
    std::size_t at = 0;
    for (const auto& p : group.params) {
      if (!p->grad) continue;
      if (kept[at].p != p) copy_elements(*p, *kept[at].p);
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
