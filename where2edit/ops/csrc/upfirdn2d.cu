// Upsample by zeros, pad, filter, downsample: one kernel for every case and one for the 4x4 blur that dominates.
#include "common.h"

// `outer` numbers samples and `channel` channels; in NCHW `outer` numbers planes (sample and channel) and `channel` is 0.
template <typename Index> struct Place { Index outer, channel, row, column; };

// Splits a thread number so that the innermost dimension in memory varies fastest.
template <typename Index, bool LAST>
__device__ Place<Index> place(Index i, Index channels, Index rows, Index columns) {
  Place<Index> at{};
  if (LAST) {
    at.channel = i % channels;
    i /= channels;
  }
  at.column = i % columns;
  i /= columns;
  at.row = i % rows;
  at.outer = i / rows;
  return at;
}

template <typename T, typename Index, bool LAST> __global__ void general_kernel(Upfirdn2d p, Index count) {
  using A = acc_t<T>;
  const A *taps = static_cast<const A *>(p.taps);
  const T *x = static_cast<const T *>(p.x);
  T *y = static_cast<T *>(p.y);
  const Index channels = static_cast<Index>(p.channels), step = LAST ? channels : 1;
  const int height = static_cast<int>(p.height) * p.up, width = static_cast<int>(p.width) * p.up;
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    const auto at = place<Index, LAST>(i, channels, static_cast<Index>(p.out_height), static_cast<Index>(p.out_width));
    const Index in_base = at.outer * static_cast<Index>(p.height * p.width) * step + at.channel;
    const int top = static_cast<int>(at.row) * p.down - p.pad_y, left = static_cast<int>(at.column) * p.down - p.pad_x;
    // Only every up-th tap meets a sample; the first one is where the position is a multiple of up.
    const int first_y = ((-top) % p.up + p.up) % p.up, first_x = ((-left) % p.up + p.up) % p.up;
    A sum = 0;
    for (int ky = first_y; ky < p.taps_y; ky += p.up) {
      const int row = top + ky;
      if (row < 0 || row >= height) continue;
      for (int kx = first_x; kx < p.taps_x; kx += p.up) {
        const int column = left + kx;
        if (column < 0 || column >= width) continue;
        const Index pixel = static_cast<Index>(row / p.up) * static_cast<Index>(p.width) + static_cast<Index>(column / p.up);
        sum += taps[ky * p.taps_x + kx] * widen<T>(x[in_base + pixel * step]);
      }
    }
    y[i] = narrow<T>(sum);
  }
}

// up = down = 1, 4x4 taps: each thread writes ROWS outputs below each other and reads every input row once.
template <typename T, typename Index, int ROWS, bool LAST> __global__ void blur_kernel(Upfirdn2d p, Index count) {
  using A = acc_t<T>;
  const T *x = static_cast<const T *>(p.x);
  T *y = static_cast<T *>(p.y);
  A taps[16];
#pragma unroll
  for (int k = 0; k < 16; k++) taps[k] = static_cast<const A *>(p.taps)[k];
  const Index channels = static_cast<Index>(p.channels), step = LAST ? channels : 1;
  const int height = static_cast<int>(p.height), width = static_cast<int>(p.width);
  const int out_height = static_cast<int>(p.out_height), out_width = static_cast<int>(p.out_width);
  const Index strips = static_cast<Index>((out_height + ROWS - 1) / ROWS);
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    const auto at = place<Index, LAST>(i, channels, strips, static_cast<Index>(out_width));
    const T *in = x + at.outer * static_cast<Index>(height) * width * step + at.channel;
    T *out = y + at.outer * static_cast<Index>(out_height) * out_width * step + at.channel;
    const int out_row = static_cast<int>(at.row) * ROWS, column = static_cast<int>(at.column);
    A sum[ROWS] = {};
#pragma unroll
    for (int r = 0; r < ROWS + 3; r++) {
      const int row = out_row + r - p.pad_y;
      A v[4];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int from = column + j - p.pad_x;
        const bool inside = row >= 0 && row < height && from >= 0 && from < width;
        v[j] = inside ? widen<T>(in[(static_cast<Index>(row) * width + from) * step]) : A(0);
      }
#pragma unroll
      for (int k = 0; k < ROWS; k++) {
        const int tap = r - k;
        if (tap < 0 || tap > 3) continue;
#pragma unroll
        for (int j = 0; j < 4; j++) sum[k] += taps[tap * 4 + j] * v[j];
      }
    }
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (out_row + k < out_height) out[(static_cast<Index>(out_row + k) * out_width + column) * step] = narrow<T>(sum[k]);
  }
}

template <typename T, typename Index, bool LAST> static void launch(const Upfirdn2d &p, cudaStream_t stream) {
  constexpr int ROWS = 8;
  const int64_t planes = p.batch * p.channels;
  if (p.up == 1 && p.down == 1 && p.taps_y == 4 && p.taps_x == 4) {
    const int64_t count = planes * ((p.out_height + ROWS - 1) / ROWS) * p.out_width;
    blur_kernel<T, Index, ROWS, LAST><<<blocks(count), THREADS, 0, stream>>>(p, static_cast<Index>(count));
  } else {
    const int64_t count = planes * p.out_height * p.out_width;
    general_kernel<T, Index, LAST><<<blocks(count), THREADS, 0, stream>>>(p, static_cast<Index>(count));
  }
}

void upfirdn2d_launch(const Upfirdn2d &p, Dtype dtype, cudaStream_t stream) {
  const int64_t in = p.batch * p.channels * p.height * p.width, out = p.batch * p.channels * p.out_height * p.out_width;
  if (out == 0) return;
  const bool small = (in > out ? in : out) < (int64_t(1) << 30);
  by_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    if (small && p.channels_last) launch<T, uint32_t, true>(p, stream);
    else if (small) launch<T, uint32_t, false>(p, stream);
    else if (p.channels_last) launch<T, uint64_t, true>(p, stream);
    else launch<T, uint64_t, false>(p, stream);
  });
  check_launch("upfirdn2d");
}
