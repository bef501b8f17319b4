// torch.ops.where2edit: checks the operands and hands their pointers to the launchers.
#include "kernels.h"
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <optional>
#include <torch/library.h>

namespace {

using at::Tensor;
using Operand = std::optional<Tensor>;

Dtype dtype_of(const Tensor &x) {
  switch (x.scalar_type()) {
  case at::kFloat: return Dtype::Float;
  case at::kDouble: return Dtype::Double;
  case at::kHalf: return Dtype::Half;
  case at::kBFloat16: return Dtype::BFloat16;
  default: TORCH_CHECK(false, "where2edit kernels take float16, bfloat16, float32 and float64, got ", x.scalar_type());
  }
}

bool dense(const Tensor &x, bool channels_last) {
  return channels_last ? x.is_contiguous(at::MemoryFormat::ChannelsLast) : x.is_contiguous();
}

const void *pointer(const Operand &operand, const Tensor &x, int64_t numel, const char *name) {
  if (!operand.has_value()) return nullptr;
  TORCH_CHECK(operand->device() == x.device() && operand->scalar_type() == x.scalar_type(), name, " must match x in device and dtype");
  TORCH_CHECK(operand->is_contiguous() && operand->numel() == numel, name, " must be contiguous with ", numel, " values");
  return operand->const_data_ptr();
}

void bias_act(const Tensor &x, const Operand &bias, const Operand &scale, const Operand &noise, const Operand &like,
              double slope, double gain, bool channels_last, Tensor y) {
  TORCH_CHECK(x.is_cuda() && x.dim() >= 2 && dense(x, channels_last), "x must be dense on a CUDA device");
  TORCH_CHECK(y.sizes() == x.sizes() && y.scalar_type() == x.scalar_type() && y.device() == x.device() && dense(y, channels_last),
              "y must be laid out as x");
  BiasAct p{};
  p.batch = x.size(0), p.channels = x.size(1);
  p.pixels = p.batch * p.channels ? x.numel() / (p.batch * p.channels) : 0;
  p.x = x.const_data_ptr(), p.y = y.mutable_data_ptr();
  p.bias = pointer(bias, x, p.channels, "bias");
  p.scale = pointer(scale, x, p.batch * p.channels, "scale");
  p.noise = pointer(noise, x, p.pixels, "noise");
  if (like.has_value()) {
    TORCH_CHECK(like->sizes() == x.sizes() && like->scalar_type() == x.scalar_type() && like->device() == x.device() &&
                    dense(*like, channels_last), "like must be laid out as x");
    p.like = like->const_data_ptr();
  }
  p.channels_last = channels_last, p.slope = slope, p.gain = gain;
  const c10::cuda::CUDAGuard guard(x.device());
  bias_act_launch(p, dtype_of(x), c10::cuda::getCurrentCUDAStream());
}

void upfirdn2d(const Tensor &x, const Tensor &taps, int64_t up, int64_t down, int64_t pad_x, int64_t pad_y, bool channels_last,
               Tensor y) {
  TORCH_CHECK(x.is_cuda() && x.dim() == 4 && dense(x, channels_last), "x must be [B,C,H,W], dense, on a CUDA device");
  TORCH_CHECK(y.dim() == 4 && y.size(0) == x.size(0) && y.size(1) == x.size(1) && y.scalar_type() == x.scalar_type() &&
                  y.device() == x.device() && dense(y, channels_last), "y must be laid out as x");
  const auto accumulator = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  TORCH_CHECK(taps.dim() == 2 && taps.is_contiguous() && taps.scalar_type() == accumulator && taps.device() == x.device(),
              "taps must be a contiguous 2-D filter on the device of x, float32 (float64 for float64)");
  TORCH_CHECK(up >= 1 && down >= 1, "up and down must be positive");
  Upfirdn2d p{};
  p.x = x.const_data_ptr(), p.taps = taps.const_data_ptr(), p.y = y.mutable_data_ptr();
  p.batch = x.size(0), p.channels = x.size(1), p.height = x.size(2), p.width = x.size(3);
  p.out_height = y.size(2), p.out_width = y.size(3);
  p.taps_y = static_cast<int>(taps.size(0)), p.taps_x = static_cast<int>(taps.size(1));
  p.up = static_cast<int>(up), p.down = static_cast<int>(down);
  p.pad_y = static_cast<int>(pad_y), p.pad_x = static_cast<int>(pad_x);
  p.channels_last = channels_last;
  const c10::cuda::CUDAGuard guard(x.device());
  upfirdn2d_launch(p, dtype_of(x), c10::cuda::getCurrentCUDAStream());
}

} // namespace

TORCH_LIBRARY(where2edit, m) {
  m.def("bias_act(Tensor x, Tensor? bias, Tensor? scale, Tensor? noise, Tensor? like, float slope, float gain, "
        "bool channels_last, Tensor(a!) y) -> ()");
  m.def("upfirdn2d(Tensor x, Tensor taps, int up, int down, int pad_x, int pad_y, bool channels_last, Tensor(a!) y) -> ()");
}

TORCH_LIBRARY_IMPL(where2edit, CUDA, m) {
  m.impl("bias_act", &bias_act);
  m.impl("upfirdn2d", &upfirdn2d);
}
