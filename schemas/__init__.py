"""What data looks like: xAPI statements, lake rows, the competency framework. No I/O."""
