module heapduel/reference

go 1.19
