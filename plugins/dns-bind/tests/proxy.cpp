// The proxy is part of the test support; this file is what tests of whole clusters name as its source.
#include "proxy.hpp"
