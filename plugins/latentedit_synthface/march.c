/* Rays marched to a head, and its surface painted where they end: compiled.py calls it, renderer.py
   says what it computes. It must be compiled without contraction of products and sums (see
   hatch_build.py): then every operation rounds as in torch, and both give the same bits. */

#include <math.h>
#include <stdint.h>
#include "distance.h"
#include "paint.h"

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
void march(int first, int end, const float *restrict shapes, int rays, const float *restrict right,
           const float *restrict up, float *restrict near, float *restrict distance, March how) {
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

/* Square blocks of samples of one face, `side` samples along each side `unit` long; see renderer.py. */
typedef struct {
    const int64_t *column, *row;
    const float *near;
    int count, side;
    float unit;
} Rays;

typedef struct {
    float extent, top, difference, lowest_facing;
    int resolution, supersampling;
} Screen;

/* Paint rays of one face on its canvas, (3, size, size): distances to the parts, normals by forward
   differences, and light, in the middle of each ray; colours at each of its samples. */
INLINE void paint_rays(const float *shape, const float *paint, const float *skin, Rays rays, float fine,
                       Screen screen, float *restrict canvas) {
    const long size = (long)screen.resolution * screen.supersampling;
    const float e = screen.difference;
    float right[BLOCK], up[BLOCK], normal[3][BLOCK], parts[PARTS][BLOCK], surface[SURFACE][BLOCK];
    float x[BLOCK], y[BLOCK], z[BLOCK], colour[3][BLOCK];
    float face_x[BLOCK], face_y[BLOCK], face_z[BLOCK], face[3][BLOCK];
    int column[BLOCK], row[BLOCK], place[BLOCK];
    for (int start = 0; start < rays.count; start += BLOCK) {
        const int count = rays.count - start < BLOCK ? rays.count - start : BLOCK;
        const float *near = rays.near + start;
        for (int j = 0; j < count; j++) {
            column[j] = (int)rays.column[start + j];
            row[j] = (int)rays.row[start + j];
            right[j] = ((float)column[j] + 0.5f) * rays.unit - screen.extent;
            up[j] = screen.top - ((float)row[j] + 0.5f) * rays.unit;
        }
        for (int j = 0; j < count; j++) {
            const float d = parts_at(shape, right[j], up[j], near[j], &parts[0][j]);
            const float gx = distance_at(shape, right[j] + e, up[j], near[j]) - d;
            const float gy = distance_at(shape, right[j], up[j] + e, near[j]) - d;
            const float gz = distance_at(shape, right[j], up[j], near[j] + e) - d;
            const float inverse = 1.0f / sqrtf(gx * gx + gy * gy + gz * gz + 1e-12f);
            normal[0][j] = gx * inverse;
            normal[1][j] = gy * inverse;
            normal[2][j] = gz * inverse;
        }
        for (int j = 0; j < count; j++)
            surface_at(paint, parts[0][j], parts[1][j], parts[2][j], parts[3][j], parts[4][j], parts[5][j],
                       normal[0][j], normal[1][j], normal[2][j], &surface[0][j]);
        for (int part = 0; part < rays.side * rays.side; part++) {
            const int across = part % rays.side, down = part / rays.side;
            int faces = 0;
            for (int j = 0; j < count; j++) {
                const float facing = larger(normal[2][j], screen.lowest_facing);
                x[j] = ((float)(column[j] * rays.side + across) + 0.5f) * fine - screen.extent;
                y[j] = screen.top - ((float)(row[j] * rays.side + down) + 0.5f) * fine;
                z[j] = near[j] - normal[0][j] / facing * (x[j] - right[j]) -
                       normal[1][j] / facing * (y[j] - up[j]);
            }
            for (int j = 0; j < count; j++) {
                if (surface[HAIR][j] < 1 && surface[NECK][j] < 1 && surface[CLOTHES][j] < 1) {
                    face_x[faces] = x[j];
                    face_y[faces] = y[j];
                    face_z[faces] = z[j];
                    place[faces++] = j;
                }
            }
            for (int k = 0; k < faces; k++)
                face_at(paint, face_x[k], face_y[k], face_z[k], &face[0][k]);
            for (int i = 0; i < 3; i++) {
                for (int j = 0; j < count; j++)
                    colour[i][j] = skin[i];
                for (int k = 0; k < faces; k++)
                    colour[i][place[k]] = face[i][k];
            }
            for (int j = 0; j < count; j++)
                colour_at(paint, x[j], y[j], z[j], colour[0][j], colour[1][j], colour[2][j], surface[HAIR][j],
                          surface[NECK][j], surface[CLOTHES][j], surface[LIT][j], surface[GLOSS][j],
                          surface[UPWARD][j], &colour[0][j]);
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < count; j++)
                    canvas[(i * size + row[j] * rays.side + down) * size + column[j] * rays.side + across] =
                        colour[i][j];
        }
    }
}

/* Paint the faces from `first` to `end` on canvases, (faces, 3, size, size): pixels, then samples. */
FOR_EVERY_CPU
void shade(int first, int end, const float *restrict measures, const Rays *kinds, Screen screen,
           float *restrict canvas) {
    const long size = (long)screen.resolution * screen.supersampling;
    for (int face = first; face < end; face++) {
        const float *own = measures + (long)face * PAINT_MEASURES;
        float shape[CONSTANTS], paint[PAINT_CONSTANTS];
        constants_of(own, shape);
        paint_constants_of(own, paint);
        for (int kind = 0; kind < 2; kind++) {
            Rays rays = kinds[kind];
            const long at = (long)face * rays.count;
            rays.column += at;
            rays.row += at;
            rays.near += at;
            paint_rays(shape, paint, own + SKIN, rays, kinds[1].unit, screen, canvas + 3 * size * size * face);
        }
    }
}
