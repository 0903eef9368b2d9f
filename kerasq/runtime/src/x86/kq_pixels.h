/* A function of a pixel that is compiled for each type of fixed values, so that its choices between them disappear. */
#ifndef KQ_PIXELS_H
#define KQ_PIXELS_H

#include "../kq_window.h"

/* Defines name(op, arena, type), which calls compute(op, pixel, type) for every pixel (kq_each_pixel). */
#define KQ_OF_EACH_TYPE(name, compute)                                                                                  \
  static void name##_s8(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_FIXED8); }                \
  static void name##_u8(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_UFIXED8); }               \
  static void name##_s16(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_FIXED16); }              \
  static void name##_u16(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_UFIXED16); }             \
  static void name(const kq_operator *op, uint8_t *arena, uint8_t type) {                                               \
    switch (type) {                                                                                                     \
      case KQ_FIXED8: kq_each_pixel(op, arena, name##_s8, NULL); break;                                                 \
      case KQ_UFIXED8: kq_each_pixel(op, arena, name##_u8, NULL); break;                                                \
      case KQ_FIXED16: kq_each_pixel(op, arena, name##_s16, NULL); break;                                               \
      default: kq_each_pixel(op, arena, name##_u16, NULL); break;                                                       \
    }                                                                                                                   \
  }

#endif
