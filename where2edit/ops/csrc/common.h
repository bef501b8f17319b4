// What both kernel files share: accumulation types, conversions, packed access, launch sizes.
#pragma once
#include "kernels.h"
#include <cstdio>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdexcept>
#include <string>

template <typename T> struct Accumulator { using type = float; };
template <> struct Accumulator<double> { using type = double; };
template <typename T> using acc_t = typename Accumulator<T>::type;

template <typename T> __device__ inline acc_t<T> widen(T v) { return v; }
template <> __device__ inline float widen(__half v) { return __half2float(v); }
template <> __device__ inline float widen(__nv_bfloat16 v) { return __bfloat162float(v); }

template <typename T> __device__ inline T narrow(acc_t<T> v) { return v; }
template <> __device__ inline __half narrow<__half>(float v) { return __float2half_rn(v); }
template <> __device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float v) { return __float2bfloat16_rn(v); }

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T v[N]; };

constexpr int THREADS = 256;

inline unsigned blocks(int64_t threads) {
  const int64_t needed = (threads + THREADS - 1) / THREADS;
  return static_cast<unsigned>(needed < (int64_t(1) << 22) ? needed : (int64_t(1) << 22));
}

inline void check_launch(const char *name) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) throw std::runtime_error(std::string(name) + ": " + cudaGetErrorString(status));
}

template <typename F> void by_dtype(Dtype dtype, F &&launch) {
  switch (dtype) {
  case Dtype::Float: return launch(float());
  case Dtype::Double: return launch(double());
  case Dtype::Half: return launch(__half());
  case Dtype::BFloat16: return launch(__nv_bfloat16());
  }
}
