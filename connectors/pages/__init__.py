"""The pages of learners and instructors, rendered here, launched from an LMS or by a signed link."""
