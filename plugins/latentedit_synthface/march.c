/* Rays marched to a head, and its surface where they end: compiled.py calls it, renderer.py says
   what it computes. It must be compiled without contraction of products and sums (see
   hatch_build.py): then every operation rounds as in torch, and both give the same bits. */

#include <math.h>
#include <string.h>
#include "distance.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif

/* SHA-256 over the sources, so that a library of other sources is not used. */
const char *const SOURCE = SOURCE_DIGEST;

static const float FLATTEST_STEP = 1e-4f;

typedef struct {
    float radius, relaxation, lowest_slope, highest_slope;
    int steps;
} March;

/* Rays of the heads from `first` to `end`, `rays` each: right, up (not changed), near (advanced), last distance. */
FOR_EVERY_CPU
void march(int faces, int first, int end, int rays, const float *restrict shapes, const float *restrict right,
           const float *restrict up, float *restrict near, float *restrict distance, March how) {
    (void)faces;
    for (int face = first; face < end; face++) {
        float c[CONSTANTS], before[BLOCK], step[BLOCK];
        constants_of(shapes + face * MEASURES, c);
        for (int start = 0; start < rays; start += BLOCK) {
            const int count = rays - start < BLOCK ? rays - start : BLOCK;
            const long at = (long)face * rays + start;
            const float *x = right + at, *y = up + at;
            float *z = near + at, *d = distance + at;
            for (int i = 0; i < how.steps; i++) {
                for (int j = 0; j < count; j++) {
                    before[j] = d[j];
                    d[j] = distance_at(c, x[j], y[j], z[j]);
                }
                for (int j = 0; j < count; j++) {
                    if (how.radius > 0) {
                        step[j] = larger((d[j] - how.radius) * how.relaxation, 0.0f);
                    } else {
                        float slope = 1.0f;
                        if (i > 0) {
                            float taken = fabsf(step[j]) < FLATTEST_STEP ? FLATTEST_STEP : step[j];
                            slope = (before[j] - d[j]) / taken;
                        }
                        slope = smaller(larger(slope, how.lowest_slope), how.highest_slope);
                        step[j] = d[j] / slope;
                    }
                    z[j] = z[j] - step[j];
                }
            }
        }
    }
}

/* Distances to the parts, (PARTS, faces, rays), and unit normals, (3, faces, rays), by forward
   differences of length `e`. */
FOR_EVERY_CPU
void surface(int faces, int first, int end, int rays, const float *restrict shapes, const float *restrict right,
             const float *restrict up, const float *restrict near, float *restrict parts,
             float *restrict normals, float e) {
    const long all = (long)faces * rays;
    for (int face = first; face < end; face++) {
        float c[CONSTANTS], found[PARTS][BLOCK];
        constants_of(shapes + face * MEASURES, c);
        for (int start = 0; start < rays; start += BLOCK) {
            const int count = rays - start < BLOCK ? rays - start : BLOCK;
            const long at = (long)face * rays + start;
            const float *x = right + at, *y = up + at, *z = near + at;
            float *nx = normals + at, *ny = nx + all, *nz = ny + all;
            for (int j = 0; j < count; j++) {
                const float d = parts_at(c, x[j], y[j], z[j], &found[0][j]);
                const float gx = distance_at(c, x[j] + e, y[j], z[j]) - d;
                const float gy = distance_at(c, x[j], y[j] + e, z[j]) - d;
                const float gz = distance_at(c, x[j], y[j], z[j] + e) - d;
                const float inverse = 1.0f / sqrtf(gx * gx + gy * gy + gz * gz + 1e-12f);
                nx[j] = gx * inverse;
                ny[j] = gy * inverse;
                nz[j] = gz * inverse;
            }
            for (int i = 0; i < PARTS; i++)
                memcpy(parts + i * all + at, found[i], count * sizeof(float));
        }
    }
}
