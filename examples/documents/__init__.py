"""Document approval: checked by an unreliable service, approved by a person, published."""
