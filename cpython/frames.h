// The interpreter as capture sees it (core/capture/interp.h), for this CPython.
#pragma once

#include "capture/interp.h"

extern const pmt_interp_t pmt_python_interp;
