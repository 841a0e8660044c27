// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What every kernel header needs: GM_HD marks code for host and device; GM_TARGET names the namespace of this
// compilation.
//
// All of kernels/ lives in namespace gpumerge::GM_TARGET, because the same inline functions are compiled for several
// instruction sets: in one namespace the linker would keep one copy of each, perhaps the one this CPU cannot run.
#pragma once

#ifndef GM_TARGET
#error "GM_TARGET is not defined: kernels are compiled only through the templates in src/*/method_entry.*.in"
#endif

#ifdef __CUDACC__
#define GM_HD __host__ __device__ __forceinline__
#else
#define GM_HD inline __attribute__((always_inline))
#endif

// Between the parameters and the body of a lambda that is called for each model: inlined like GM_HD functions.
#ifdef __CUDACC__
#define GM_INLINED
#else
#define GM_INLINED __attribute__((always_inline))
#endif
