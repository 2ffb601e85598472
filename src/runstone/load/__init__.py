"""Many runs at a time, on many machines: what each must leave behind, judged while it goes on."""
