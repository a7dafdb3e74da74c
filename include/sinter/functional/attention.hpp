// SPDX-License-Identifier: MIT
// Scaled dot product attention on operands as they lie, without the matrix of all scores. Dropout keeps a position in the
// random stream, not a mask.
#pragma once

#include "sinter/cpu/attention_backward.hpp"
#include "sinter/device/attention.hpp"
#include "sinter/functional/attention_weights.hpp"
#include "sinter/functional/dropout.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// How heads lie in a tensor: extent(shape, d) and step(tensor, d) for the dimensions batch, head, length, width.
// (..., length, width), of rank 2 to 4: dimensions that are missing have extents of one.
struct HeadsApart {
  static constexpr const char* name = "scaled_dot_product_attention";
  std::int64_t extent(ShapeView s, int d) const { return d < 4 - s.rank ? 1 : s.d[d - (4 - s.rank)]; }
  std::int64_t step(const TensorImpl& x, int d) const { return d < 4 - x.rank ? 0 : x.strides[d - (4 - x.rank)]; }
  // A result in the order of memory that q has: a q that was transposed from (batch, length, head, width) has a dense
  // transpose of the result.
  template <class T, int R>
  Tensor<T, R> result(const Tensor<T, R>& q, std::int64_t width) const {
    Shape<R> sizes = q.shape();
    sizes[R - 1] = width;
    if constexpr (R == 4) {
      if (q.impl->strides[1] < q.impl->strides[2]) {
        std::swap(sizes[1], sizes[2]);
        const Ref<TensorImpl> dense = TensorImpl::empty(dtype_of<T>(), sizes, q.device());
        return Tensor<T, R>(TensorImpl::make(dtype_of<T>(), transposed(Layout<R>::contiguous(sizes), 1, 2), dense->storage, dense->data));
      }
    }
    return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), sizes, q.device()));
  }
};
// (batch, length, n * width), or (length, batch, n * width): n heads side by side.
struct HeadsJoined {
  static constexpr const char* name = "multi_head_attention";
  std::int64_t n;
  bool batch_first = true;
  HeadsJoined(std::int64_t heads, bool first = true) : n(heads), batch_first(first) {}
  int dim(int d) const { return d == 0 ? !batch_first : d == 2 ? batch_first : 2; }
  std::int64_t extent(ShapeView s, int d) const { return d == 1 ? n : d == 3 ? s.d[2] / n : s.d[dim(d)]; }
  std::int64_t step(const TensorImpl& x, int d) const { return (d == 1 ? x.sizes[2] / n : 1) * x.strides[dim(d)]; }
  template <class T>
  Tensor<T, 3> result(const Tensor<T, 3>& q, std::int64_t width) const {
    return Tensor<T, 3>(TensorImpl::empty(dtype_of<T>(), Shape{q.size(0), q.size(1), n * width}, q.device()));
  }
};

template <class T, class Form>
cpu::Heads<T> heads_of(const Form& form, const Ref<TensorImpl>& x) {
  cpu::Heads<T> h;
  if (!x) return h;
  h.data = static_cast<T*>(x->data);
  for (int d = 0; d < 4; ++d) h.step[d] = form.step(*x, d);
  return h;
}

template <class Form>
void check_attention(const Form& form, ShapeView q, ShapeView k, ShapeView v, const SDPAOptions& o) {
  const auto same = [&](const char* what, ShapeView a, ShapeView b, int d, const char* names) {
    if (const std::int64_t x = form.extent(a, d), y = form.extent(b, d); x != y)
      fail<ShapeError>(Form::name, ": ", what, " of ", names, " differ, ", a, " x ", b, ": ", x, " against ", y);
  };
  same("head widths", q, k, 3, "query and key");
  same("lengths", k, v, 2, "key and value");
  same("batches", q, k, 0, "query and key");
  same("batches", k, v, 0, "key and value");
  same("numbers of heads", k, v, 1, "key and value");
  const std::int64_t heads = form.extent(q, 1), kv_heads = form.extent(k, 1);
  if (!o.enable_gqa_ || kv_heads == 0 || heads % kv_heads != 0) same("numbers of heads", q, k, 1, "query and key");
  if (!(o.dropout_p_ >= 0 && o.dropout_p_ <= 1)) fail<ValueError>(Form::name, ": the probability of dropout must be in [0, 1], but is ", o.dropout_p_);
}

// A problem, and where its operands are.
template <class T>
struct AttentionProblem : cpu::Attention<T> {
  using C = compute_t<T>;
  Device device;
  const RandomState* random_state = nullptr;  // of the device; see device/random.hpp

  void attend(const cpu::Heads<T>& out, C* log_sum) const {
    if (device.is_cuda()) attention_on_device(args(out, log_sum));
    else if constexpr (!is_reduced_float<T>) cpu::attend<T>(*this, out, log_sum);
  }
  void backward(const cpu::Heads<const T>& out, const cpu::Heads<const T>& up, C* log_sum, const cpu::Heads<T>& dq, const cpu::Heads<T>& dk,
                const cpu::Heads<T>& dv) const {
    if (device.is_cuda()) attention_backward_on_device({args(out, log_sum), erased(up), erased(dq), erased(dk), erased(dv)});
    else if constexpr (!is_reduced_float<T>) cpu::attend_backward<T>(*this, {out, up, log_sum, dq, dk, dv});
  }

 private:
  template <class X>
  static DeviceHeads erased(const cpu::Heads<X>& x) {
    return {const_cast<std::remove_const_t<X>*>(x.data), {x.step[0], x.step[1], x.step[2], x.step[3]}};
  }
  template <class X>
  AttentionArgs args(const cpu::Heads<X>& out, C* log_sum) const {
    return {dtype_of<T>(), this->batch, this->heads, this->kv_heads, this->targets, this->sources, this->width, this->value_width, double(this->scale),
            this->causal, erased(this->q), erased(this->k), erased(this->v), erased(this->allowed), erased(this->bias), erased(out), log_sum,
            this->dropout, {this->seed, this->first, random_state}};
  }
};

template <class T, class Form>
AttentionProblem<T> attention_problem(const Form& form, const Ref<TensorImpl>& q, const Ref<TensorImpl>& k, const Ref<TensorImpl>& v,
                                      const SDPAOptions& o) {
  check_attention(form, q->shape(), k->shape(), v->shape(), o);
  AttentionProblem<T> p;
  const Operand operands[] = {&q, &k, &v};
  p.device = common_device(Form::name, operands, 3);
  const auto extent = [&](const Ref<TensorImpl>& x, int d) { return form.extent(x->shape(), d); };
  p.batch = extent(q, 0), p.heads = extent(q, 1), p.kv_heads = extent(k, 1);
  p.targets = extent(q, 2), p.sources = extent(k, 2), p.width = extent(q, 3), p.value_width = extent(v, 3);
  p.scale = compute_t<T>(o.scale_ ? *o.scale_ : p.width == 0 ? 1 : 1 / std::sqrt(double(p.width)));
  p.causal = o.is_causal_;
  p.q = heads_of<const T>(form, q), p.k = heads_of<const T>(form, k), p.v = heads_of<const T>(form, v);
  return p;
}

// A mask, of dtype bool or T, broadcast to (batch, heads, targets, sources).
template <class T, class M, int R>
void set_mask(const char* op, AttentionProblem<T>& p, const Tensor<M, R>& mask) {
  if (!mask.defined()) return;
  if (mask.device() != p.device) fail<DeviceError>(op, ": operands on different devices, ", p.device, " and ", mask.device(), " (the mask)");
  const std::int64_t whole[4] = {p.batch, p.heads, p.targets, p.sources};
  cpu::Heads<const M> h{mask.data(), {}};
  for (int i = 0; i < R; ++i) {
    const int d = 4 - R + i;
    const std::int64_t n = mask.impl->sizes[i];
    if (n != 1 && n != whole[d])
      fail<ShapeError>(op, ": a mask of shape ", mask.shape(), " does not broadcast to the scores ", ShapeView(whole, 4), ": ", n, " against ",
                       whole[d], " (axis ", i, " of the mask)");
    h.step[d] = n == 1 ? 0 : mask.impl->strides[i];
  }
  if constexpr (std::is_same_v<M, bool>) p.allowed = h;
  else p.bias = h;
}

template <class T>
void set_dropout(AttentionProblem<T>& p, double probability, Generator& g) {
  p.dropout = probability;
  if (probability == 0) return;
  const auto n = std::uint64_t(p.batch * p.heads * p.targets * ((p.sources + 3) / 4 * 4));
  const RandomStream random = p.device.is_cuda() ? RandomRecording::reserve(g, n) : RandomStream{g.seed(), g.reserve(n), nullptr};
  p.seed = random.seed, p.first = random.first, p.random_state = random.state;
}

// Uninitialized, where x is.
template <class T, int R>
Tensor<T, R> on_device_of(const Shape<R>& sizes, const Tensor<T, R>& x) { return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), sizes, x.device())); }

// The result, and where it is to be recorded what tie(out, gradients) makes of it: gradients(grad, dq, dk, dv) fills those
// that are defined.
template <class T, int R, class Form, class M, int RM, class Tie>
Tensor<T, R> attention_of(const Form& form, const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, R>& v, const Tensor<M, RM>& mask,
                          const SDPAOptions& o, Generator& g, bool recorded, Tie tie) {
  AttentionProblem<T> p = attention_problem<T>(form, q.impl, k.impl, v.impl, o);
  set_mask(Form::name, p, mask);
  set_dropout(p, o.dropout_p_, g);
  const Tensor<T, R> out = form.result(q, p.value_width);
  Tensor<compute_t<T>, 3> log_sum;
  if (recorded) log_sum = Tensor<compute_t<T>, 3>(TensorImpl::empty(dtype_of<compute_t<T>>(), Shape{p.batch, p.heads, p.targets}, p.device));
  p.attend(heads_of<T>(form, out.impl), recorded ? log_sum.data() : nullptr);
  if (!recorded) return out;
  auto gradients = [=, q = Saved(q), k = Saved(k), v = Saved(v), mask = Saved(mask), out = Saved(out)](
                       const Tensor<T, R>& grad, const Tensor<T, R>& dq, const Tensor<T, R>& dk, const Tensor<T, R>& dv) {
    q.get(Form::name), k.get(Form::name), v.get(Form::name), mask.get(Form::name);  // p reads what they hold
    const Tensor<T, R> y = out.get(Form::name);
    p.backward(heads_of<const T>(form, y.impl), heads_of<const T>(form, grad.impl), log_sum.data(), heads_of<T>(form, dq.impl),
               heads_of<T>(form, dk.impl), heads_of<T>(form, dv.impl));
  };
  return tie(out, std::move(gradients));
}
// The same of three tensors.
template <class T, int R, class Form, class M, int RM>
Tensor<T, R> attention_of(const Form& form, const Tensor<T, R>& q, const Tensor<T, R>& k, const Tensor<T, R>& v, const Tensor<M, RM>& mask,
                          const SDPAOptions& o, Generator& g) {
  return attention_of(form, q, k, v, mask, o, g, any_requires_grad(q, k, v), [&](const Tensor<T, R>& out, auto gradients) {
    auto back = [gradients, sq = q.shape(), sk = k.shape(), sv = v.shape()](const Tensor<T, R>& grad, const auto& needs) {
      const auto wanted = [&](int i, const Shape<R>& s) { return needs[i] ? on_device_of(s, grad) : Tensor<T, R>(); };
      std::tuple d(wanted(0, sq), wanted(1, sk), wanted(2, sv));
      gradients(grad, std::get<0>(d), std::get<1>(d), std::get<2>(d));
      return d;
    };
    return record(Form::name, out, std::move(back), q, k, v);
  });
}

template <class T, class M>
void check_joined(std::int64_t heads, std::initializer_list<Ref<TensorImpl>> operands, std::int64_t parts = 1) {
  static_assert(is_floating<T>, "sinter: multi_head_attention() takes floating point operands; convert with to<float>(x)");
  static_assert(std::is_same_v<M, bool> || std::is_same_v<M, T>, "sinter: multi_head_attention() takes a mask of dtype bool or of the query's dtype");
  for (const Ref<TensorImpl>& x : operands) {
    if (!x) fail_undefined();
    if (heads < 1 || x->sizes[2] % (heads * parts) != 0)
      fail<ShapeError>(HeadsJoined::name, ": ", x->sizes[2], " columns do not divide into ", heads * parts, " heads (axis 2 of ", x->shape(), ")");
  }
}

// f(wide, mask) of operands that wide() makes floats of, in their own 16-bit dtype again: the CPU computes attention in float.
template <class T, class M, int RM, class F>
auto narrowed_from_float(const Tensor<M, RM>& mask, F f) {
  const auto wide = [](const auto& x) { return materialize(to<float>(x)); };
  if constexpr (std::is_same_v<M, bool>) return materialize(to<T>(f(wide, mask)));
  else return materialize(to<T>(f(wide, mask.defined() ? wide(mask) : Tensor<float, RM>())));
}

// softmax(q @ k^T * scale + mask) @ v. q (..., T, E), k (..., S, E), v (..., S, Ev) -> (..., T, Ev), of one rank, 2 to 4, and
// dtype; with enable_gqa, k and v may have fewer heads (axis -3), each for a group of the query's. The mask broadcasts to
// (..., T, S): bool, true may attend, or numbers that are added; it may be undefined. is_causal: query i sees keys 0 to i,
// besides what a mask says. A query that sees no key gets zeros. Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
template <class Q, class K, class W, class M, int RM>
auto scaled_dot_product_attention(const Expr<Q>& query, const Expr<K>& key, const Expr<W>& value, const Tensor<M, RM>& attn_mask,
                                  const SDPAOptions& options = {}, Generator& g = default_generator()) {
  using T = typename Q::value_type;
  constexpr int R = Q::rank;
  constexpr bool fits = is_floating<T> && std::is_same_v<T, typename K::value_type> && std::is_same_v<T, typename W::value_type>;
  constexpr bool ranked = R >= 2 && R <= 4 && K::rank == R && W::rank == R, masks = (std::is_same_v<M, bool> || std::is_same_v<M, T>)&&RM <= R;
  static_assert(fits, "sinter: scaled_dot_product_attention() takes query, key and value of one floating point dtype; convert with to<T>(x)");
  static_assert(ranked, "sinter: scaled_dot_product_attention() takes query, key and value of one rank, 2 to 4");
  static_assert(masks, "sinter: scaled_dot_product_attention() takes a mask of dtype bool or of the query's dtype, of at most the query's rank");
  if constexpr (fits && ranked && masks) {
    const Tensor<T, R> q = materialize(query.self()), k = materialize(key.self()), v = materialize(value.self());
    if constexpr (is_reduced_float<T>) {
      const bool direct = q.device().is_cuda() && (std::is_same_v<M, bool> || !any_requires_grad(attn_mask));
      if (direct) return attention_of(HeadsApart(), q, k, v, attn_mask, options, g);
      return narrowed_from_float<T>(attn_mask, [&](auto wide, const auto& mask) { return scaled_dot_product_attention(wide(q), wide(k), wide(v), mask, options, g); });
    } else {
      if constexpr (!std::is_same_v<M, bool>)
        if (any_requires_grad(attn_mask)) {  // a gradient of all scores is asked for: they are made
          attention_problem<T>(HeadsApart(), q.impl, k.impl, v.impl, options);
          return materialize(matmul(dropout(attention_weights(q, k, attn_mask, options), options.dropout_p_, true, g), v));
        }
      return attention_of(HeadsApart(), q, k, v, attn_mask, options, g);
    }
  }
}
template <class Q, class K, class W>
auto scaled_dot_product_attention(const Expr<Q>& query, const Expr<K>& key, const Expr<W>& value, const SDPAOptions& options = {},
                                  Generator& g = default_generator()) {
  return scaled_dot_product_attention(query, key, value, Tensor<bool, 2>(), options, g);
}

// The same with the heads side by side, as linear layers give and take them: q (N, T, heads * E), k (N, S, heads * E), v
// (N, S, heads * Ev) -> (N, T, heads * Ev); with HeadsJoined(heads, false) the first two dimensions change places. Nothing is
// transposed, neither here nor on the way back. The mask broadcasts to (N, heads, T, S). Throws ShapeError, ValueError.
template <class T, class M = bool, int RM = 2>
Tensor<T, 3> multi_head_attention(const Tensor<T, 3>& q, const Tensor<T, 3>& k, const Tensor<T, 3>& v, HeadsJoined heads,
                                  const Tensor<M, RM>& attn_mask = {}, const SDPAOptions& options = {}, Generator& g = default_generator()) {
  check_joined<T, M>(heads.n, {q.impl, k.impl, v.impl});
  if constexpr (is_reduced_float<T>)
    if (!q.device().is_cuda())
      return narrowed_from_float<T>(attn_mask, [&](auto wide, const auto& mask) { return multi_head_attention(wide(q), wide(k), wide(v), heads, mask, options, g); });
  return attention_of(heads, q, k, v, attn_mask, options, g);
}
// Part i of n that lie side by side in x.
template <class T>
Tensor<T, 3> part_of(const Tensor<T, 3>& x, int i, int n) {
  return no_grad([&] { return materialize(narrow(x, 2, i * (x.size(2) / n), x.size(2) / n)); });
}
// The same of kv (N, S, 2 * heads * E), which has keys and values side by side.
template <class T, class M = bool, int RM = 2>
Tensor<T, 3> multi_head_attention(const Tensor<T, 3>& q, const Tensor<T, 3>& kv, HeadsJoined heads, const Tensor<M, RM>& attn_mask = {},
                                  const SDPAOptions& options = {}, Generator& g = default_generator()) {
  check_joined<T, M>(heads.n, {q.impl});
  check_joined<T, M>(heads.n, {kv.impl}, 2);
  if constexpr (is_reduced_float<T>)
    if (!q.device().is_cuda())
      return narrowed_from_float<T>(attn_mask, [&](auto wide, const auto& mask) { return multi_head_attention(wide(q), wide(kv), heads, mask, options, g); });
  return attention_of(heads, q, part_of(kv, 0, 2), part_of(kv, 1, 2), attn_mask, options, g, any_requires_grad(q, kv),
                      [&](const Tensor<T, 3>& out, auto gradients) {
                        auto back = [gradients, sq = q.shape(), skv = kv.shape()](const Tensor<T, 3>& grad, const auto& needs) {
                          const Tensor<T, 3> dq = needs[0] ? on_device_of(sq, grad) : Tensor<T, 3>(), dkv = needs[1] ? on_device_of(skv, grad) : Tensor<T, 3>();
                          const auto part = [&](int i) { return needs[1] ? part_of(dkv, i, 2) : Tensor<T, 3>(); };
                          gradients(grad, dq, part(0), part(1));
                          return std::tuple(dq, dkv);
                        };
                        return record(HeadsJoined::name, out, std::move(back), q, kv);
                      });
}
// The same of qkv (N, T, 3 * heads * E), which has queries, keys and values side by side -> (N, T, heads * E).
template <class T, class M = bool, int RM = 2>
Tensor<T, 3> multi_head_attention(const Tensor<T, 3>& qkv, HeadsJoined heads, const Tensor<M, RM>& attn_mask = {},
                                  const SDPAOptions& options = {}, Generator& g = default_generator()) {
  check_joined<T, M>(heads.n, {qkv.impl}, 3);
  if constexpr (is_reduced_float<T>)
    if (!qkv.device().is_cuda())
      return narrowed_from_float<T>(attn_mask, [&](auto wide, const auto& mask) { return multi_head_attention(wide(qkv), heads, mask, options, g); });
  return attention_of(heads, part_of(qkv, 0, 3), part_of(qkv, 1, 3), part_of(qkv, 2, 3), attn_mask, options, g, any_requires_grad(qkv),
                      [&](const Tensor<T, 3>& out, auto gradients) {
                        auto back = [gradients, sizes = qkv.shape()](const Tensor<T, 3>& grad, const auto&) {
                          const Tensor<T, 3> d = on_device_of(sizes, grad);
                          gradients(grad, part_of(d, 0, 3), part_of(d, 1, 3), part_of(d, 2, 3));
                          return std::tuple(d);
                        };
                        return record(HeadsJoined::name, out, std::move(back), qkv);
                      });
}

}  // namespace SINTER_ABI
}  // namespace sinter
