-- Is loaded by what the sandbox does not use.
return {
  new = function()
    return nil, "the sandbox's nginx does not have it"
  end,
}
