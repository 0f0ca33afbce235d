// Scalar e^x and the fixed-order sum of 16 lanes, as the plain twins use them. The fast twins are in exp_template.h.
#pragma once

namespace speculators {

float plain_exp(float x);
// Adds lanes i and i + 8, then 4, 2, 1. Overwrites `lanes`.
float plain_sum_16_lanes(float* lanes);

}  // namespace speculators
