// Launchers of the CUDA kernels, free of torch headers so that nvcc compiles them in seconds.
#pragma once
#include <cstdint>
#include <cuda_runtime_api.h>

enum class Dtype { Float, Double, Half, BFloat16 };

// y = gain * leaky(x * scale[b,c] + noise[pixel] + bias[c]), or, with `like` (the y of that call),
// its derivative times x: y = x * gain * leaky'(like) * scale[b,c]. Absent operands are null.
struct BiasAct {
  const void *x, *bias, *scale, *noise, *like;
  void *y;
  int64_t batch, channels, pixels;
  bool channels_last;
  double slope, gain;
};
void bias_act_launch(const BiasAct &p, Dtype dtype, cudaStream_t stream);

// Correlation of the zero-upsampled, padded x with taps, then every down-th sample.
// Sizes are of x [batch,channels,height,width] and y [batch,channels,out_height,out_width]; taps are float (double for Double).
struct Upfirdn2d {
  const void *x, *taps;
  void *y;
  int64_t batch, channels, height, width, out_height, out_width;
  int taps_y, taps_x, up, down, pad_y, pad_x;
  bool channels_last;
};
void upfirdn2d_launch(const Upfirdn2d &p, Dtype dtype, cudaStream_t stream);
