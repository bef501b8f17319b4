// Demodulation, noise, bias and leaky ReLU of a convolution's output in one pass over memory, and its derivative.
#include "common.h"

// Each thread owns packs of N neighbours in memory. NCHW: a pack lies in one plane. Channels last: in one pixel.
// Index is 32 bits wide where that is enough, because 64-bit divisions would cost more than the memory access.
template <typename T, typename Index, int N, bool LAST, bool GRAD>
__global__ void bias_act_kernel(BiasAct p, Index packs) {
  using A = acc_t<T>;
  using P = Pack<T, N>;
  const T *bias = static_cast<const T *>(p.bias), *scale = static_cast<const T *>(p.scale);
  const T *noise = static_cast<const T *>(p.noise);
  const Index pixels = static_cast<Index>(p.pixels), channels = static_cast<Index>(p.channels);
  const A gain = static_cast<A>(p.gain), negative = static_cast<A>(p.gain * p.slope);
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < packs; i += stride) {
    const Index first = i * N, row = first / (LAST ? channels : pixels), column = first - row * (LAST ? channels : pixels);
    const Index pixel = LAST ? row % pixels : column;
    const Index channel = LAST ? column : row % channels;
    const Index plane = LAST ? row / pixels * channels + column : row;
    const P x = static_cast<const P *>(p.x)[i];
    P like, y;
    if (GRAD) like = static_cast<const P *>(p.like)[i];
#pragma unroll
    for (int k = 0; k < N; k++) {
      const int c = LAST ? k : 0, q = LAST ? 0 : k;
      A v = widen<T>(x.v[k]);
      if (scale) v *= widen<T>(scale[plane + c]);
      if (!GRAD) {
        if (noise) v += widen<T>(noise[pixel + q]);
        if (bias) v += widen<T>(bias[channel + c]);
      }
      const A sign = GRAD ? widen<T>(like.v[k]) : v;
      y.v[k] = narrow<T>(v * (sign > A(0) ? gain : negative));
    }
    static_cast<P *>(p.y)[i] = y;
  }
}

template <typename T, typename Index, int N> static void launch_layout(const BiasAct &p, int64_t packs, cudaStream_t stream) {
  const Index n = static_cast<Index>(packs);
  const unsigned grid = blocks(packs);
  if (p.channels_last && p.like) bias_act_kernel<T, Index, N, true, true><<<grid, THREADS, 0, stream>>>(p, n);
  else if (p.channels_last) bias_act_kernel<T, Index, N, true, false><<<grid, THREADS, 0, stream>>>(p, n);
  else if (p.like) bias_act_kernel<T, Index, N, false, true><<<grid, THREADS, 0, stream>>>(p, n);
  else bias_act_kernel<T, Index, N, false, false><<<grid, THREADS, 0, stream>>>(p, n);
}

template <typename T, int N> static void launch_index(const BiasAct &p, cudaStream_t stream) {
  const int64_t count = p.batch * p.channels * p.pixels;
  // The grid stride is added to the index before the comparison, hence the margin below 2^32.
  if (count < (int64_t(1) << 30)) launch_layout<T, uint32_t, N>(p, count / N, stream);
  else launch_layout<T, uint64_t, N>(p, count / N, stream);
}

static bool aligned(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

void bias_act_launch(const BiasAct &p, Dtype dtype, cudaStream_t stream) {
  if (p.batch * p.channels * p.pixels == 0) return;
  by_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr int N = 16 / sizeof(T);
    const bool wide = (p.channels_last ? p.channels : p.pixels) % N == 0;
    if (wide && aligned(p.x) && aligned(p.y) && aligned(p.like)) launch_index<T, N>(p, stream);
    else launch_index<T, 1>(p, stream);
  });
  check_launch("bias_act");
}
