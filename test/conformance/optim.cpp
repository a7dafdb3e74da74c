// SPDX-License-Identifier: MIT
// Optimizers over six steps, and gradient clipping.
#include "sinter/optim/adagrad.hpp"
#include "sinter/optim/adam.hpp"
#include "sinter/optim/adamw.hpp"
#include "sinter/optim/clip.hpp"
#include "sinter/optim/rmsprop.hpp"
#include "sinter/optim/sgd.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

Value clone_of(const Value& v) {
  Value copy = empty_dense(v->dtype, v->shape());
  std::memcpy(copy->data, v->data, std::size_t(v->numel()) * std::size_t(size_of(v->dtype)));
  return copy;
}

template <class Opt>
Values steps(Case& c, const typename Opt::Options& options) {
  Values params = c.inputs;
  if (params.empty()) params.push_back(TensorImpl::empty(DType::float32, Shape{std::int64_t(2)}));  // errors: any parameter
  for (const Value& p : params) p->requires_grad = true;
  Opt opt(params, options);
  for (const Values& grads : c.gradients) {
    for (std::size_t i = 0; i < params.size(); ++i) params[i]->grad = grads[i];
    opt.step();
    c.steps.emplace_back();
    for (const Value& p : params) c.steps.back().push_back(clone_of(p));
  }
  return {};
}
template <class Opt>
Values adam(Case& c, double decay) {
  typename Opt::Options o;
  if (c.has("betas")) {
    const auto b = c.numbers("betas");
    o.betas({b[0], b[1]});
  }
  o.lr(c.number("lr", 1e-3)).eps(c.number("eps", 1e-8)).weight_decay(c.number("weight_decay", decay)).amsgrad(c.flag("amsgrad", false));
  return steps<Opt>(c, o);
}
// Tensors whose gradients are the inputs.
Values holders(const Case& c) {
  Values v;
  for (const Value& g : c.inputs) {
    v.push_back(empty_dense(g->dtype, g->shape()));
    v.back()->requires_grad = true;
    v.back()->grad = clone_of(g);
  }
  return v;
}

const bool registered = [] {
  add("SGD", [](Case& c) {
    return steps<optim::SGD>(c, optim::SGDOptions().lr(c.number("lr", 1e-3)).momentum(c.number("momentum", 0)).dampening(c.number("dampening", 0))
                                    .weight_decay(c.number("weight_decay", 0)).nesterov(c.flag("nesterov", false)));
  });
  add("Adam", [](Case& c) { return adam<optim::Adam>(c, 0); });
  add("AdamW", [](Case& c) { return adam<optim::AdamW>(c, 0.01); });
  add("RMSprop", [](Case& c) {
    return steps<optim::RMSprop>(c, optim::RMSpropOptions().lr(c.number("lr", 0.01)).alpha(c.number("alpha", 0.99)).eps(c.number("eps", 1e-8))
                                        .weight_decay(c.number("weight_decay", 0)).momentum(c.number("momentum", 0)).centered(c.flag("centered", false)));
  });
  add("Adagrad", [](Case& c) {
    return steps<optim::Adagrad>(c, optim::AdagradOptions().lr(c.number("lr", 0.01)).lr_decay(c.number("lr_decay", 0)).weight_decay(c.number("weight_decay", 0))
                                        .initial_accumulator_value(c.number("initial_accumulator_value", 0)).eps(c.number("eps", 1e-10)));
  });
  add("clip_grad_norm_", [](Case& c) {
    const Values params = holders(c);
    const double total = clip_grad_norm_(params, c.number("max_norm"), c.number("norm_type", 2));
    Value norm = TensorImpl::empty(c.is_double ? DType::float64 : DType::float32, Shape<0>{});
    if (c.is_double) *static_cast<double*>(norm->data) = total;
    else *static_cast<float*>(norm->data) = float(total);
    Values out{norm};
    for (const Value& p : params) out.push_back(p->grad);
    return out;
  });
  add("clip_grad_value_", [](Case& c) {
    const Values params = holders(c);
    clip_grad_value_(params, c.number("clip_value"));
    Values out;
    for (const Value& p : params) out.push_back(p->grad);
    return out;
  });
  return true;
}();

}  // namespace
}  // namespace conformance
