// What becomes of options that are set before bind: there is no socket yet.
//
//	node integration/multicast/testdata/options.js
'use strict'
const dgram = require('node:dgram')

const socket = dgram.createSocket('udp4')
const options = {
  setBroadcast: [true],
  setMulticastInterface: ['127.0.0.1'],
  setMulticastLoopback: [true],
  setMulticastTTL: [128],
  setTTL: [64]
}
function set () {
  for (const [name, args] of Object.entries(options)) {
    try {
      socket[name](...args)
      console.log(`${name}: done`)
    } catch (err) {
      console.log(`${name}: ${err.message}`)
    }
  }
}
set()
socket.bind(0, '127.0.0.1', () => {
  console.log('bound')
  set()
  socket.close()
})
